// Does what Argo CD does with objects, by the packages that Argo CD consists of. Reads one JSON request a line from
// standard input, and prints one JSON answer a line. The argument is a ConfigMap argocd-cm, as a manifest.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/argoproj/argo-cd/gitops-engine/pkg/diff"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/health"
	"github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	"github.com/argoproj/argo-cd/v3/util/lua"
	"github.com/argoproj/argo-cd/v3/util/settings"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes/fake"
	"sigs.k8s.io/yaml"
)

// The most that the API server stores of one object, with room for the JSON form and for several objects.
const longestLine = 64 << 20

// A request is one of these.
type request struct {
	// The health of an object, as Argo CD shows it and as the script says.
	Health *unstructured.Unstructured `json:"health"`
	// The actions that are offered for an object.
	Discover *unstructured.Unstructured `json:"discover"`
	// The result of an action.
	Act *struct {
		Action string                     `json:"action"`
		Object *unstructured.Unstructured `json:"object"`
	} `json:"act"`
	// Whether Argo CD sees a difference between two objects, for which it does not ask an API server.
	Compare []*unstructured.Unstructured `json:"compare"`
	// The sync status of the objects of an application.
	Status *application `json:"status"`
	// A sync of an application, from its start to its end.
	Sync *application `json:"sync"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	overrides, err := readOverrides(os.Args[1])
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, longestLine)
	for lines.Scan() {
		var request request
		if err := json.Unmarshal(lines.Bytes(), &request); err != nil {
			return err
		}
		answer, err := request.answer(overrides)
		if err != nil {
			answer = map[string]string{"error": err.Error()}
		}
		text, err := json.Marshal(answer)
		if err != nil {
			return err
		}
		fmt.Println(string(text))
	}
	return lines.Err()
}

// The resource overrides of a ConfigMap, as Argo CD reads them.
func readOverrides(path string) (map[string]v1alpha1.ResourceOverride, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	const namespace = "argocd"
	config := &corev1.ConfigMap{}
	if err := yaml.Unmarshal(text, config); err != nil {
		return nil, err
	}
	config.ObjectMeta = metav1.ObjectMeta{
		Name:      "argocd-cm",
		Namespace: namespace,
		Labels:    map[string]string{"app.kubernetes.io/part-of": "argocd"},
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{
		Name: "argocd-secret", Namespace: namespace, Labels: config.Labels,
	}}
	return settings.NewSettingsManager(ctx, fake.NewClientset(config, secret), namespace).GetResourceOverrides()
}

func (r request) answer(overrides map[string]v1alpha1.ResourceOverride) (any, error) {
	vm := lua.VM{ResourceOverrides: overrides}
	switch {
	case r.Health != nil:
		return judge(r.Health, lua.ResourceHealthOverrides(overrides))
	case r.Discover != nil:
		scripts, err := vm.GetResourceActionDiscovery(r.Discover)
		if err != nil {
			return nil, err
		}
		return vm.ExecuteResourceActionDiscovery(r.Discover, scripts)
	case r.Act != nil:
		action, err := vm.GetResourceAction(r.Act.Object, r.Act.Action)
		if err != nil {
			return nil, err
		}
		changed, err := vm.ExecuteResourceAction(r.Act.Object, action.ActionLua, nil)
		if err != nil {
			return nil, err
		}
		if len(changed) != 1 || changed[0].K8SOperation != lua.PatchOperation {
			return nil, fmt.Errorf("not one changed object: %v", changed)
		}
		return changed[0].UnstructuredObj, nil
	case len(r.Compare) == 2:
		result, err := diff.Diff(r.Compare[0], r.Compare[1])
		if err != nil {
			return nil, err
		}
		return result.Modified, nil
	case r.Status != nil:
		return r.Status.status(overrides)
	case r.Sync != nil:
		return r.Sync.sync(overrides)
	}
	return nil, fmt.Errorf("unknown request")
}

type judged struct {
	Shown  *health.HealthStatus `json:"shown"`
	Script *health.HealthStatus `json:"script"`
}

// Argo CD does not ask the script about an object that is being deleted.
func judge(object *unstructured.Unstructured, overrides lua.ResourceHealthOverrides) (*judged, error) {
	shown, err := health.GetResourceHealth(object, overrides)
	if err != nil {
		return nil, err
	}
	script, err := overrides.GetResourceHealth(object)
	return &judged{shown, script}, err
}
