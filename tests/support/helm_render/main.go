// SPDX-License-Identifier: Apache-2.0

// helm_render renders a chart as `helm template` would, for tests where helm is not packaged:
// merged values (numbers as JSON's, null removes a key), _*.tpl, include, tpl, required, toYaml and its kin, Files, Release,
// Chart, Capabilities, NOTES.txt. No subcharts, hooks or lookups: the chart has none.
//
//	helm_render [--kube VERSION] [--namespace NAME] [--release NAME] [--notes] CHART [VALUES.yaml…]
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig"
	"gopkg.in/yaml.v3"
)

type tree = map[string]interface{}

type files struct{ folder string }

func (f files) Get(name string) string {
	bytes, err := os.ReadFile(filepath.Join(f.folder, name))
	if err != nil {
		return "" // as helm
	}
	return string(bytes)
}

func parse(text []byte) (tree, error) {
	var raw interface{}
	if err := yaml.Unmarshal(text, &raw); err != nil {
		return nil, err
	}
	asJSON, err := json.Marshal(raw)
	if err != nil {
		return nil, err
	}
	result := tree{}
	return result, json.Unmarshal(asJSON, &result)
}

func read(path string) tree {
	text, err := os.ReadFile(path)
	check(err)
	result, err := parse(text)
	check(err)
	return result
}

func merge(into, from tree) {
	for key, value := range from {
		one, isTree := into[key].(tree)
		other, areTrees := value.(tree)
		switch {
		case value == nil:
			delete(into, key)
		case isTree && areTrees:
			merge(one, other)
		default:
			into[key] = value
		}
	}
}

func toYaml(value interface{}) string {
	asJSON, err := json.Marshal(value)
	check(err)
	var plain interface{}
	check(yaml.Unmarshal(asJSON, &plain))
	text, err := yaml.Marshal(plain)
	check(err)
	return strings.TrimSuffix(string(text), "\n")
}

func functions(root *template.Template) template.FuncMap {
	result := sprig.TxtFuncMap()
	delete(result, "env")
	delete(result, "expandenv")
	result["toYaml"] = toYaml
	result["fromYaml"] = func(text string) tree {
		value, err := parse([]byte(text))
		check(err)
		return value
	}
	result["include"] = func(name string, data interface{}) (string, error) {
		var out bytes.Buffer
		err := root.ExecuteTemplate(&out, name, data)
		return out.String(), err
	}
	result["tpl"] = func(text string, data interface{}) (string, error) {
		one, err := template.Must(root.Clone()).New("tpl").Parse(text)
		if err != nil {
			return "", err
		}
		var out bytes.Buffer
		err = one.Execute(&out, data)
		return out.String(), err
	}
	result["required"] = func(message string, value interface{}) (interface{}, error) {
		if value == nil || value == "" {
			return nil, errors.New(message)
		}
		return value, nil
	}
	result["fail"] = func(message string) (string, error) { return "", errors.New(message) }
	return result
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "helm_render:", err)
		os.Exit(1)
	}
}

func title(raw tree) tree { // Chart.yaml's keys as templates see them
	result := tree{}
	for key, value := range raw {
		result[strings.ToUpper(key[:1])+key[1:]] = value
	}
	return result
}

func main() {
	kube := flag.String("kube", "v1.32.0", "version of Kubernetes")
	namespace := flag.String("namespace", "assay", "namespace")
	release := flag.String("release", "assay", "name of the release")
	notes := flag.Bool("notes", false, "print NOTES.txt instead")
	flag.Parse()
	chart := flag.Arg(0)
	values := read(filepath.Join(chart, "values.yaml"))
	for _, path := range flag.Args()[1:] {
		merge(values, read(path))
	}
	root := template.New("chart").Option("missingkey=zero")
	root.Funcs(functions(root))
	paths, err := filepath.Glob(filepath.Join(chart, "templates", "*"))
	check(err)
	sort.Strings(paths)
	for _, path := range paths {
		text, err := os.ReadFile(path)
		check(err)
		_, err = root.New(filepath.Base(path)).Parse(string(text))
		check(err)
	}
	data := tree{
		"Values": values, "Chart": title(read(filepath.Join(chart, "Chart.yaml"))), "Files": files{chart},
		"Release":      tree{"Name": *release, "Namespace": *namespace, "Service": "Helm", "IsInstall": true, "IsUpgrade": false},
		"Capabilities": tree{"KubeVersion": tree{"Version": *kube}},
	}
	for _, path := range paths {
		name := filepath.Base(path)
		if strings.HasPrefix(name, "_") || (name == "NOTES.txt") != *notes {
			continue
		}
		var out bytes.Buffer
		check(root.ExecuteTemplate(&out, name, data))
		text := strings.ReplaceAll(out.String(), "<no value>", "")
		if *notes || strings.TrimSpace(text) == "" {
			fmt.Print(text)
			continue
		}
		fmt.Printf("---\n%s\n", strings.TrimPrefix(strings.TrimSpace(text), "---\n"))
	}
}
