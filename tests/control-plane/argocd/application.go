// Syncs the objects of an application, and compares them with Git, as the application controller of Argo CD does.
package main

import (
	"context"
	"encoding/json"
	"os"
	"slices"
	"time"

	"github.com/argoproj/argo-cd/gitops-engine/pkg/diff"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/health"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/sync"
	synccommon "github.com/argoproj/argo-cd/gitops-engine/pkg/sync/common"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/utils/kube"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/utils/tracing"
	"github.com/argoproj/argo-cd/v3/common"
	"github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	"github.com/argoproj/argo-cd/v3/util/argo"
	argodiff "github.com/argoproj/argo-cd/v3/util/argo/diff"
	"github.com/argoproj/argo-cd/v3/util/argo/normalizers"
	"github.com/argoproj/argo-cd/v3/util/lua"
	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// An application: what its spec and its manifests say.
type application struct {
	Name      string                       `json:"name"`
	Namespace string                       `json:"namespace"`
	Manifests []*unstructured.Unstructured `json:"manifests"`
	// The sync options, such as ServerSideApply=true.
	Options v1alpha1.SyncOptions `json:"options"`
	Prune   bool                 `json:"prune"`
	Force   bool                 `json:"force"`
	// Whether the comparison is made by the API server.
	ServerSideDiff bool `json:"serverSideDiff"`
	// How long a sync may wait for health.
	Seconds int `json:"seconds"`
}

// The kinds whose objects an application may have to prune.
var group = schema.GroupVersion{Group: "beyondidentity.dev", Version: "v1alpha1"}
var resources = []string{"authenticatorconfigs", "clusterproviderconfigs", "enrollmentrequests", "providerconfigs"}

type scopes struct{}

func (scopes) IsNamespaced(kind schema.GroupKind) (bool, error) {
	return kind.Kind != "ClusterProviderConfig", nil
}

type cluster struct {
	config  *rest.Config
	kubectl *kube.KubectlCmd
}

func connect() (*cluster, error) {
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	return &cluster{config, &kube.KubectlCmd{Log: logr.Discard(), Tracer: tracing.NopTracer{}}}, err
}

// The manifests, with what Argo CD adds to them, and the live objects.
func (a *application) compare(c *cluster) (*sync.ReconciliationResult, error) {
	tracking := argo.NewResourceTracking()
	live := map[kube.ResourceKey]*unstructured.Unstructured{}
	targets := []*unstructured.Unstructured{}
	for _, manifest := range a.Manifests {
		target := manifest.DeepCopy()
		if namespaced, _ := (scopes{}).IsNamespaced(target.GroupVersionKind().GroupKind()); namespaced && target.GetNamespace() == "" {
			target.SetNamespace(a.Namespace)
		}
		if err := tracking.SetAppInstance(target, common.LabelKeyAppInstance, a.Name, a.Namespace, v1alpha1.TrackingMethodAnnotation, ""); err != nil {
			return nil, err
		}
		targets = append(targets, target)
		object, err := c.kubectl.GetResource(context.Background(), c.config, target.GroupVersionKind(), target.GetName(), target.GetNamespace())
		if err == nil {
			live[kube.GetResourceKey(object)] = object
		} else if !apierrors.IsNotFound(err) {
			return nil, err
		}
	}
	client, err := dynamic.NewForConfig(c.config)
	if err != nil {
		return nil, err
	}
	for _, resource := range resources {
		list, err := client.Resource(group.WithResource(resource)).List(context.Background(), metav1.ListOptions{})
		if err != nil {
			return nil, err
		}
		for _, object := range list.Items {
			if tracking.GetAppName(&object, common.LabelKeyAppInstance, v1alpha1.TrackingMethodAnnotation, "") == a.Name {
				live[kube.GetResourceKey(&object)] = &object
			}
		}
	}
	result := sync.Reconcile(targets, live, a.Namespace, scopes{})
	return &result, nil
}

// The differences between the manifests and the live objects.
func (a *application) diff(c *cluster, compared *sync.ReconciliationResult, overrides map[string]v1alpha1.ResourceOverride) (*diff.DiffResultList, error) {
	_, parser, err := c.kubectl.LoadOpenAPISchema(c.config)
	if err != nil {
		return nil, err
	}
	builder := argodiff.NewDiffConfigBuilder().
		WithDiffSettings(nil, overrides, false, normalizers.IgnoreNormalizerOpts{}).
		WithTracking(common.LabelKeyAppInstance, string(v1alpha1.TrackingMethodAnnotation)).
		WithNoCache().
		WithGVKParser(parser).
		WithManager(common.ArgoCDSSAManager).
		WithServerSideDiff(a.ServerSideDiff).
		WithStructuredMergeDiff(a.Options.HasOption(synccommon.SyncOptionServerSideApply))
	if a.ServerSideDiff {
		applier, cleanup, err := c.kubectl.ManageServerSideDiffDryRuns(c.config)
		if err != nil {
			return nil, err
		}
		defer cleanup()
		builder.WithServerSideDryRunner(diff.NewK8sServerSideDryRunner(applier))
	}
	config, err := builder.Build()
	if err != nil {
		return nil, err
	}
	return argodiff.StateDiffs(compared.Live, compared.Target, config)
}

type status struct {
	Kind   string `json:"kind"`
	Name   string `json:"name"`
	Sync   string `json:"sync"`
	Health string `json:"health"`
	// What differs, if the object is OutOfSync.
	Live      json.RawMessage `json:"live,omitempty"`
	Predicted json.RawMessage `json:"predicted,omitempty"`
}

func (a *application) status(overrides map[string]v1alpha1.ResourceOverride) ([]status, error) {
	c, err := connect()
	if err != nil {
		return nil, err
	}
	compared, err := a.compare(c)
	if err != nil {
		return nil, err
	}
	diffs, err := a.diff(c, compared, overrides)
	if err != nil {
		return nil, err
	}
	all := []status{}
	for i, target := range compared.Target {
		live, object := compared.Live[i], target
		one := status{Sync: "Synced", Health: string(health.HealthStatusMissing)}
		if live != nil {
			object = live
			if found, err := health.GetResourceHealth(live, lua.ResourceHealthOverrides(overrides)); err != nil {
				return nil, err
			} else if found != nil {
				one.Health = string(found.Status)
			}
		}
		one.Kind, one.Name = object.GetKind(), object.GetName()
		if diffs.Diffs[i].Modified || target == nil || live == nil {
			one.Sync = "OutOfSync"
			one.Live, one.Predicted = diffs.Diffs[i].NormalizedLive, diffs.Diffs[i].PredictedLive
		}
		all = append(all, one)
	}
	return all, nil
}

type synced struct {
	Phase   string       `json:"phase"`
	Message string       `json:"message"`
	Results []syncResult `json:"results"`
}

type syncResult struct {
	Kind    string `json:"kind"`
	Name    string `json:"name"`
	Status  string `json:"status"`
	Message string `json:"message"`
}

// Each step compares anew, as the controller does.
func (a *application) sync(overrides map[string]v1alpha1.ResourceOverride) (*synced, error) {
	c, err := connect()
	if err != nil {
		return nil, err
	}
	started := metav1.Now()
	phase, message, results := synccommon.OperationRunning, "", []synccommon.ResourceSyncResult{}
	for {
		if phase, message, results, err = a.step(c, overrides, phase, message, results, started); err != nil {
			return nil, err
		}
		if phase.Completed() || time.Since(started.Time) > time.Duration(a.Seconds)*time.Second {
			break
		}
		time.Sleep(200 * time.Millisecond)
	}
	slices.SortFunc(results, func(x, y synccommon.ResourceSyncResult) int { return x.Order - y.Order })
	done := &synced{Phase: string(phase), Message: message, Results: []syncResult{}}
	for _, result := range results {
		key := result.ResourceKey
		done.Results = append(done.Results, syncResult{key.Kind, key.Name, string(result.Status), result.Message})
	}
	return done, nil
}

func (a *application) step(
	c *cluster, overrides map[string]v1alpha1.ResourceOverride, phase synccommon.OperationPhase, message string,
	results []synccommon.ResourceSyncResult, started metav1.Time,
) (synccommon.OperationPhase, string, []synccommon.ResourceSyncResult, error) {
	compared, err := a.compare(c)
	if err != nil {
		return phase, message, results, err
	}
	diffs, err := a.diff(c, compared, overrides)
	if err != nil {
		return phase, message, results, err
	}
	propagation := metav1.DeletePropagationForeground
	context, cleanup, err := sync.NewSyncContext("revision", *compared, c.config, c.config, c.kubectl, a.Namespace,
		sync.WithLogr(logr.Discard()),
		sync.WithHealthOverride(lua.ResourceHealthOverrides(overrides)),
		sync.WithOperationSettings(false, a.Prune, a.Force, false),
		sync.WithInitialState(phase, message, results, started),
		sync.WithManifestValidation(!a.Options.HasOption(synccommon.SyncOptionsDisableValidation)),
		sync.WithPruneLast(a.Options.HasOption(synccommon.SyncOptionPruneLast)),
		sync.WithResourceModificationChecker(a.Options.HasOption("ApplyOutOfSyncOnly=true"), diffs),
		sync.WithPrunePropagationPolicy(&propagation),
		sync.WithReplace(a.Options.HasOption(synccommon.SyncOptionReplace)),
		sync.WithServerSideApply(a.Options.HasOption(synccommon.SyncOptionServerSideApply)),
		sync.WithServerSideApplyManager(common.ArgoCDSSAManager),
		sync.WithClientSideApplyMigration(
			!a.Options.HasOption(synccommon.SyncOptionDisableClientSideApplyMigration),
			synccommon.DefaultClientSideApplyMigrationManager,
		),
		sync.WithDefaultPruneOption(a.Options.GetOptionValue(synccommon.SyncOptionPrune)),
	)
	if err != nil {
		return phase, message, results, err
	}
	defer cleanup()
	context.Sync()
	phase, message, results = context.GetState()
	return phase, message, results, nil
}
