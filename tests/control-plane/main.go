// Command control-plane is etcd, kube-apiserver, kube-controller-manager and kubectl in one binary. Which of them it is
// comes from the name it was started by, or from its first argument.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	kubectl "k8s.io/kubectl/pkg/cmd"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
)

// roles maps a name to what runs under it. Each takes the arguments with its own name first.
var roles = map[string]func(args []string){
	"etcd":                    etcdmain.Main,
	"kube-apiserver":          func([]string) { run(apiserver.NewAPIServerCommand()) },
	"kube-controller-manager": func([]string) { run(controllermanager.NewControllerManagerCommand()) },
	"kubectl":                 func([]string) { run(kubectl.NewDefaultKubectlCommand()) },
}

func main() {
	role := strings.TrimSuffix(filepath.Base(os.Args[0]), ".exe")
	if _, known := roles[role]; !known && len(os.Args) > 1 {
		// kubectl's plugins and help read os.Args, so the role must lead there as if it had been the name.
		os.Args = os.Args[1:]
		role = os.Args[0]
	}
	start, known := roles[role]
	if !known {
		fmt.Fprintln(os.Stderr, "control-plane: name one of etcd, kube-apiserver, kube-controller-manager, kubectl (first argument or the binary's own name)")
		os.Exit(2)
	}
	if role != "kubectl" { // whose standard input is for the user's manifests
		exitWithParent()
	}
	start(os.Args)
}

func run(command *cobra.Command) {
	os.Exit(cli.Run(command))
}
