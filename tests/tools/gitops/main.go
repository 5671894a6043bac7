// Command gitops says what GitOps tools make of objects, by their own libraries: kstatus (Flux, and Helm 4 with --wait), the
// Lua of Argo CD in its sandbox, and the health expressions of Flux. It reads one question as JSON from standard input and
// writes the answer as JSON; what to ask, and what the answer has to be, is the test's.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/fluxcd/pkg/apis/kustomize"
	"github.com/fluxcd/pkg/runtime/cel"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// question holds what is to be judged, and by what. What is absent does not judge.
type question struct {
	// Objects as the apiserver stores them.
	Objects []json.RawMessage `json:"objects"`
	// Health is the text of a health.lua.
	Health string `json:"health"`
	// Discovery is the text of a discovery.lua.
	Discovery string `json:"discovery"`
	// Actions are the texts of action.lua, by name.
	Actions map[string]string `json:"actions"`
	// Expressions are sets of Flux's healthCheckExprs, by name.
	Expressions map[string]kustomize.HealthCheckExpressions `json:"expressions"`
}

// verdict is what was made of one object.
type verdict struct {
	Kstatus     string            `json:"kstatus"`
	Health      *health           `json:"health,omitempty"`
	Actions     map[string]bool   `json:"actions,omitempty"`
	Acted       map[string]any    `json:"acted,omitempty"`
	Expressions map[string]string `json:"expressions,omitempty"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "gitops:", err)
		os.Exit(1)
	}
}

func run() error {
	var asked question
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		return fmt.Errorf("could not read the question: %w", err)
	}
	verdicts := make([]verdict, 0, len(asked.Objects))
	for _, raw := range asked.Objects {
		// As a client reads it: whole numbers are int64.
		object := &unstructured.Unstructured{}
		if err := object.UnmarshalJSON(raw); err != nil {
			return fmt.Errorf("could not read an object: %w", err)
		}
		judged, err := asked.judge(object)
		if err != nil {
			return fmt.Errorf("%s %s: %w", object.GetKind(), object.GetName(), err)
		}
		verdicts = append(verdicts, *judged)
	}
	return json.NewEncoder(os.Stdout).Encode(verdicts)
}

func (asked *question) judge(object *unstructured.Unstructured) (*verdict, error) {
	computed, err := status.Compute(object)
	if err != nil {
		return nil, fmt.Errorf("kstatus: %w", err)
	}
	judged := verdict{Kstatus: computed.Status.String(), Acted: map[string]any{}, Expressions: map[string]string{}}
	if asked.Health != "" {
		if judged.Health, err = healthOf(object, asked.Health); err != nil {
			return nil, fmt.Errorf("health.lua: %w", err)
		}
	}
	if asked.Discovery != "" {
		if judged.Actions, err = actionsOf(object, asked.Discovery); err != nil {
			return nil, fmt.Errorf("discovery.lua: %w", err)
		}
	}
	for name, script := range asked.Actions {
		if judged.Acted[name], err = act(object, script); err != nil {
			return nil, fmt.Errorf("the action %s: %w", name, err)
		}
	}
	for name, expressions := range asked.Expressions {
		evaluator, err := cel.NewStatusEvaluator(&expressions)
		if err != nil {
			return nil, fmt.Errorf("the expressions %s: %w", name, err)
		}
		result, err := evaluator.Evaluate(context.Background(), object)
		if err != nil {
			return nil, fmt.Errorf("the expressions %s: %w", name, err)
		}
		judged.Expressions[name] = result.Status.String()
	}
	return &judged, nil
}
