// Runs the triggers and the templates of Argo CD's notifications on an Application, by the package that Argo CD uses. The
// argument is a ConfigMap argocd-notifications-cm, as a manifest. Reads one Application as JSON from standard input, and prints
// the notifications as JSON: for each trigger that fires, its oncePer value and its messages.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"text/template"

	"github.com/argoproj/notifications-engine/pkg/triggers"
	"sigs.k8s.io/yaml"
)

type notification struct {
	OncePer  string   `json:"oncePer"`
	Messages []string `json:"messages"`
}

func main() {
	notifications, err := run()
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(notifications)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() (map[string]notification, error) {
	text, err := os.ReadFile(os.Args[1])
	if err != nil {
		return nil, err
	}
	var config struct {
		Data map[string]string `json:"data"`
	}
	if err := yaml.Unmarshal(text, &config); err != nil {
		return nil, err
	}
	var app map[string]any
	if err := json.NewDecoder(os.Stdin).Decode(&app); err != nil {
		return nil, err
	}

	all, messages := map[string][]triggers.Condition{}, map[string]string{}
	for key, value := range config.Data {
		if name, found := strings.CutPrefix(key, "trigger."); found {
			var conditions []triggers.Condition
			if err := yaml.UnmarshalStrict([]byte(value), &conditions); err != nil {
				return nil, fmt.Errorf("%s: %w", key, err)
			}
			all[name] = conditions
		}
		if name, found := strings.CutPrefix(key, "template."); found {
			var content struct {
				Message string `json:"message"`
				Email   struct {
					Subject string `json:"subject"`
				} `json:"email"`
			}
			if err := yaml.UnmarshalStrict([]byte(value), &content); err != nil {
				return nil, fmt.Errorf("%s: %w", key, err)
			}
			messages[name] = content.Email.Subject + "\n" + content.Message
		}
	}
	service, err := triggers.NewService(all)
	if err != nil {
		return nil, err
	}
	variables := map[string]any{"app": app, "context": map[string]any{"argocdUrl": "https://argocd.example.com"}}
	fired := map[string]notification{}
	for name := range all {
		results, err := service.Run(name, variables)
		if err != nil {
			return nil, err
		}
		for _, result := range results {
			if !result.Triggered {
				continue
			}
			sent := notification{OncePer: result.OncePer}
			for _, name := range result.Templates {
				text, found := messages[name]
				if !found {
					return nil, fmt.Errorf("no template %s", name)
				}
				message, err := render(text, variables)
				if err != nil {
					return nil, fmt.Errorf("template.%s: %w", name, err)
				}
				sent.Messages = append(sent.Messages, message)
			}
			fired[name] = sent
		}
	}
	return fired, nil
}

func render(message string, variables map[string]any) (string, error) {
	parsed, err := template.New("").Option("missingkey=error").Parse(message)
	if err != nil {
		return "", err
	}
	var rendered strings.Builder
	err = parsed.Execute(&rendered, variables)
	return rendered.String(), err
}
