// Command node is kubelet, kube-scheduler and kube-proxy in one binary. Which of them it is comes from the name it was
// started by.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"k8s.io/component-base/cli"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

// roles maps a name to what runs under it.
var roles = map[string]func() *cobra.Command{
	"kubelet":        func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) },
	"kube-scheduler": func() *cobra.Command { return scheduler.NewSchedulerCommand() },
	"kube-proxy":     proxy.NewProxyCommand,
}

func main() {
	start, known := roles[filepath.Base(os.Args[0])]
	if !known {
		fmt.Fprintln(os.Stderr, "node: start it as kubelet, kube-scheduler or kube-proxy")
		os.Exit(2)
	}
	os.Exit(cli.Run(start()))
}
