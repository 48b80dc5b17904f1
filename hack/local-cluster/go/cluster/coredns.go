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

// The stock build links every plugin, clouds' SDKs among them; a cluster's DNS needs these few, in CoreDNS's own order.
func runCoreDNS() int {
	dnsserver.Directives = []string{"health", "ready", "prometheus", "errors", "cache", "template", "hosts", "kubernetes"}
	coremain.Run()
	return 0
}
