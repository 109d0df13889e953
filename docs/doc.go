// Package docs is the documentation. Its law: what can be checked is checked.
// The tests here fail when a document no longer says what the code does, and
// when a link leads nowhere.
package docs
