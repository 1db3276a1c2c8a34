//! The programs of a control plane: the module and the flags of each build.

/// A program that is built from a pinned Go module in `tests/control-plane`.
#[derive(Debug)]
pub struct Tool {
    /// The file name of the program.
    pub name: &'static str,
    /// The folder of its module in `tests/control-plane`.
    pub module: &'static str,
    /// The Go package with its `main`.
    pub package: &'static str,
    /// The flags of the linker.
    pub ldflags: &'static str,
}

/// The storage of the API server.
pub static ETCD: Tool = Tool { name: "etcd", module: "etcd", package: "go.etcd.io/etcd/server/v3", ldflags: "-s -w" };

/// The API server.
pub static KUBE_APISERVER: Tool = Tool {
    name: "kube-apiserver",
    module: "kube",
    package: "k8s.io/kubernetes/cmd/kube-apiserver",
    ldflags: KUBE_LDFLAGS,
};

/// The command line client.
pub static KUBECTL: Tool =
    Tool { name: "kubectl", module: "kube", package: "k8s.io/kubernetes/cmd/kubectl", ldflags: KUBE_LDFLAGS };

/// Role aggregation, garbage collection and namespace deletion, for tests that need them.
pub static KUBE_CONTROLLER_MANAGER: Tool = Tool {
    name: "kube-controller-manager",
    module: "kube",
    package: "k8s.io/kubernetes/cmd/kube-controller-manager",
    ldflags: KUBE_LDFLAGS,
};

/// Renders and installs the chart.
pub static HELM: Tool =
    Tool { name: "helm", module: "helm", package: "helm.sh/helm/v3/cmd/helm", ldflags: HELM_LDFLAGS };

/// Generates the README of the chart.
pub static HELM_DOCS: Tool = Tool {
    name: "helm-docs",
    module: "helm-docs",
    package: "github.com/norwoodj/helm-docs/cmd/helm-docs",
    ldflags: "-s -w",
};

/// Tells how tools such as Flux judge objects, by the library that they use.
pub static KSTATUS: Tool = Tool { name: "kstatus", module: "kstatus", package: ".", ldflags: "-s -w" };

/// Flux's controller that fetches Git repositories.
pub static SOURCE_CONTROLLER: Tool = Tool {
    name: "source-controller",
    module: "flux",
    package: "github.com/fluxcd/source-controller",
    ldflags: "-s -w",
};

/// Flux's controller that applies manifests, and waits for their health.
pub static KUSTOMIZE_CONTROLLER: Tool = Tool {
    name: "kustomize-controller",
    module: "flux",
    package: "github.com/fluxcd/kustomize-controller",
    ldflags: "-s -w",
};

/// Syncs, compares and judges objects as Argo CD does, by its packages.
pub static ARGOCD: Tool = Tool { name: "argocd", module: "argocd", package: ".", ldflags: "-s -w" };

/// Scrapes metrics and evaluates rules. Without its web interface.
pub static PROMETHEUS: Tool = Tool {
    name: "prometheus",
    module: "prometheus",
    package: "github.com/prometheus/prometheus/cmd/prometheus",
    ldflags: "-s -w",
};

/// Checks rules of Prometheus, and runs their unit tests.
pub static PROMTOOL: Tool = Tool {
    name: "promtool",
    module: "prometheus",
    package: "github.com/prometheus/prometheus/cmd/promtool",
    ldflags: "-s -w",
};

/// The build tags of a module. Prometheus is built without the clients of all clouds, which take most of its build.
pub(super) static TAGS: [(&str, &str); 1] = [("prometheus", "remove_all_sd")];

/// The programs of the tests in `tests/gitops`, whose builds take long.
pub static GITOPS: [&Tool; 5] = [&SOURCE_CONTROLLER, &KUSTOMIZE_CONTROLLER, &ARGOCD, &PROMETHEUS, &PROMTOOL];

/// Kubernetes gets its version only from the linker. Without these flags, clients fail, since the server has no
/// version.
const KUBE_LDFLAGS: &str = "-s -w \
    -X k8s.io/component-base/version.gitVersion=v1.36.2 \
    -X k8s.io/component-base/version.gitMajor=1 \
    -X k8s.io/component-base/version.gitMinor=36 \
    -X k8s.io/client-go/pkg/version.gitVersion=v1.36.2";

/// The same for Helm, and for the cluster version that `helm template` and `helm lint` assume.
const HELM_LDFLAGS: &str = "-s -w \
    -X helm.sh/helm/v3/internal/version.version=v3.21.4 \
    -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor=1 \
    -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor=36 \
    -X helm.sh/helm/v3/pkg/lint/rules.k8sVersionMajor=1 \
    -X helm.sh/helm/v3/pkg/lint/rules.k8sVersionMinor=36";

#[cfg(test)]
mod tests {
    use super::*;

    /// The version of `module` that a go.mod pins.
    fn pinned<'a>(go_mod: &'a str, module: &str) -> &'a str {
        go_mod
            .lines()
            .find_map(|line| line.trim().strip_prefix(module)?.strip_prefix(' '))
            .and_then(|rest| rest.split_whitespace().next())
            .unwrap()
    }

    /// The values that the linker flags set.
    fn values(ldflags: &str) -> Vec<&str> {
        ldflags.split(" -X ").skip(1).map(|setting| setting.split_once('=').unwrap().1).collect()
    }

    #[test]
    fn linker_versions_match_the_pinned_modules() {
        let kubernetes = pinned(include_str!("../../../control-plane/kube/go.mod"), "k8s.io/kubernetes");
        let helm = pinned(include_str!("../../../control-plane/helm/go.mod"), "helm.sh/helm/v3");
        let mut numbers = kubernetes.trim_start_matches('v').split('.');
        let (major, minor) = (numbers.next().unwrap(), numbers.next().unwrap());
        assert_eq!(values(KUBE_LDFLAGS), [kubernetes, major, minor, kubernetes]);
        assert_eq!(values(HELM_LDFLAGS), [helm, major, minor, major, minor]);
    }
}
