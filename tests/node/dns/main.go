// Command dns is CoreDNS with the few plugins that a cluster of tests needs.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"

	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/kubernetes"
)

func main() {
	// Only what is linked in; the order is that in which a question passes them.
	dnsserver.Directives = []string{"errors", "cache", "kubernetes"}
	coremain.Run()
}
