//go:build tools

// Package platforms requires what the tests here are run with.
package platforms

import _ "github.com/envoyproxy/gateway/cmd/egctl"
