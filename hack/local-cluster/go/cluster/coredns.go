package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/health"
	_ "github.com/coredns/coredns/plugin/hosts"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/metrics"
	_ "github.com/coredns/coredns/plugin/ready"
	_ "github.com/coredns/coredns/plugin/template"
)

// runCoreDNS runs CoreDNS with the few plugins that a cluster's DNS needs: the stock build links all of them, with the
// SDKs of clouds. A question meets them in this order; the last one answers what none before it knows.
func runCoreDNS() int {
	dnsserver.Directives = []string{"health", "ready", "prometheus", "errors", "cache", "hosts", "kubernetes", "template"}
	coremain.Run()
	return 0
}
