package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// health is what a health.lua returns.
type health struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

// limit is how long Argo CD lets a script run.
const limit = time.Second

// execute runs a script as Argo CD runs one that a user configured: with the base and the table library, an os that only knows
// the time, no files, no other modules, and the object as the global obj. It gives what the script returns.
func execute(object *unstructured.Unstructured, script string) (any, error) {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for name, open := range map[string]lua.LGFunction{
		lua.LoadLibName: lua.OpenPackage,
		lua.BaseLibName: lua.OpenBase,
		lua.TabLibName:  lua.OpenTable,
	} {
		call := lua.P{Fn: state.NewFunction(open), NRet: 0, Protect: true}
		if err := state.CallByParam(call, lua.LString(name)); err != nil {
			return nil, err
		}
	}
	state.PreloadModule(lua.OsLibName, safeOs)
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	state.SetContext(ctx)
	state.SetGlobal("obj", toLua(state, object.Object))
	if err := state.DoString(script); err != nil {
		return nil, err
	}
	returned, isTable := state.Get(-1).(*lua.LTable)
	if !isTable {
		return nil, fmt.Errorf("it returned a %s, and has to return a table", state.Get(-1).Type())
	}
	return fromLua(returned), nil
}

// safeOs is the part of os that Argo CD lets scripts have.
func safeOs(state *lua.LState) int {
	module := state.SetFuncs(state.NewTable(), map[string]lua.LGFunction{
		"time": func(state *lua.LState) int {
			state.Push(lua.LNumber(time.Now().Unix()))
			return 1
		},
		"date": func(state *lua.LState) int {
			if format := state.OptString(1, "!%Y-%m-%dT%H:%M:%SZ"); format != "!%Y-%m-%dT%H:%M:%SZ" {
				state.ArgError(1, "this harness knows one form of dates, and "+format+" is another")
			}
			state.Push(lua.LString(time.Now().UTC().Format(time.RFC3339)))
			return 1
		},
	})
	state.Push(module)
	return 1
}

func toLua(state *lua.LState, value any) lua.LValue {
	switch value := value.(type) {
	case bool:
		return lua.LBool(value)
	case string:
		return lua.LString(value)
	case int64:
		return lua.LNumber(value)
	case float64:
		return lua.LNumber(value)
	case []any:
		table := state.CreateTable(len(value), 0)
		for _, item := range value {
			table.Append(toLua(state, item))
		}
		return table
	case map[string]any:
		table := state.CreateTable(0, len(value))
		for key, item := range value {
			table.RawSetString(key, toLua(state, item))
		}
		return table
	default:
		return lua.LNil
	}
}

func fromLua(value lua.LValue) any {
	switch value := value.(type) {
	case lua.LBool:
		return bool(value)
	case lua.LString:
		return string(value)
	case lua.LNumber:
		return float64(value)
	case *lua.LTable:
		if value.Len() > 0 {
			list := []any{}
			value.ForEach(func(_, item lua.LValue) { list = append(list, fromLua(item)) })
			return list
		}
		// Lua tells an empty list from an empty map no more than Argo CD does.
		fields := map[string]any{}
		value.ForEach(func(key, item lua.LValue) { fields[key.String()] = fromLua(item) })
		return fields
	default:
		return nil
	}
}

func healthOf(object *unstructured.Unstructured, script string) (*health, error) {
	returned, err := execute(object, script)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(returned)
	if err != nil {
		return nil, err
	}
	found := &health{}
	if err := json.Unmarshal(text, found); err != nil {
		return nil, err
	}
	switch found.Status {
	case "Healthy", "Progressing", "Suspended", "Degraded":
		return found, nil
	default:
		return nil, fmt.Errorf("it returned the status %q, which Argo CD does not know", found.Status)
	}
}

// actionsOf gives the actions by name, and whether each can be chosen.
func actionsOf(object *unstructured.Unstructured, script string) (map[string]bool, error) {
	returned, err := execute(object, script)
	if err != nil {
		return nil, err
	}
	fields, isMap := returned.(map[string]any)
	if !isMap {
		return nil, errors.New("it returned a list, and has to return actions by name")
	}
	found := map[string]bool{}
	for name, action := range fields {
		settings, _ := action.(map[string]any)
		isDisabled, _ := settings["disabled"].(bool)
		found[name] = !isDisabled
	}
	return found, nil
}

// act gives the annotations that an action leaves; Argo CD patches what differs.
func act(object *unstructured.Unstructured, script string) (any, error) {
	returned, err := execute(object, script)
	if err != nil {
		return nil, err
	}
	return returned, nil
}
