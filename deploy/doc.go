// Package deploy is how Lockstitch is packed and looked at: the image, the
// services of docker-compose.yml beside it, the dashboard. It has no code.
//
// The law of the package: what its files say of each other is true. Its test
// reads them all: ports, addresses, mounted files, and the names of metrics.
package deploy
