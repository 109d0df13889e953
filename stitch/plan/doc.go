// Package plan is the tracking plan: one reviewed YAML file that says, for each
// event, its properties, its key, its authority, its hold and its collapse
// window (contract section 5).
//
// The law of the package: it is pure. A Plan never changes once it is parsed,
// and Check is a function of the plan and of the properties alone; it names
// every violation, in the order of the property names, and never a value.
package plan
