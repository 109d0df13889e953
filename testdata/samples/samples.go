// Package samples holds what eleven real SDKs posted (README.md): input of the
// demo and of tests.
package samples

import "embed"

// Files are shop.jsonl and clients.jsonl.
//
//go:embed *.jsonl
var Files embed.FS
