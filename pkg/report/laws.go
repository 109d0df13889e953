package report

import "strings"

// laws names, for each reason, the law of the contract that speaks there. Keys
// are reasons of decisions, values of ls-why, and prefixes of DLQ reasons.
var laws = map[string]string{
	"user": "identity 1", "linked": "identity 3", "email": "identity 7", "anonymous": "identity 3", "ambiguous": "identity 5",

	"message_id": "duplicates 1", "message_id_with_other_content": "duplicates 1", "once": "section 7", "repeated": "duplicates 5",
	"authority_copy": "duplicates 3", "order_published": "duplicates 3", "app_copy_held": "duplicates 3",
	"waits_for_authority": "duplicates 3", "authority_names_nobody": "duplicates 3",

	"group": "section 7", "alias_to_itself": "identity 6", "alias_not_trusted": "identity 6", "merged_already": "identity 6",
	"circle": "identity 6", "told_otherwise": "identity 6", "split": "identity 6", "alias": "identity 6",
	"operation_not_trusted": "section 7", "anonymous_operation": "section 7", "anonymous_identify": "section 7",
	"no_push_token": "section 7", "push_platform": "section 7", "older_token": "section 7", "newer_token": "section 7",
	"push_token_without_customer": "section 7",

	"login": "identity 2", "claim": "identity 7", "owned_by_another": "identity 7", "first_identify": "identity 7",
	"merge": "identity 7", "too_many_customers_on_device": "identity 9", "too_many_devices_of_customer": "identity 9",
	"customerio_was_told": "identity 6", "merge_taken_back": "identity 6",
}

// Law returns the law that a reason stands for.
func Law(outcome, reason string) string {
	if outcome == "quarantined" {
		switch {
		case strings.HasPrefix(reason, "unusable_user_id"):
			return "identity 8"
		case strings.HasPrefix(reason, "plan_"):
			return "section 5"
		case reason == "names_nobody":
			return "section 7"
		}
		return "section 6"
	}
	if law, ok := laws[reason]; ok {
		return law
	}
	return "section 7"
}
