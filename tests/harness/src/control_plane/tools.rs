//! The programs that a control plane consists of: where each is built from, and with which flags.

/// A program that is built from a pinned Go module under `tests/control-plane`.
#[derive(Debug)]
pub struct Tool {
    /// What the file is called.
    pub name: &'static str,
    /// The folder of its module under `tests/control-plane`.
    pub module: &'static str,
    /// The Go package of its `main`.
    pub package: &'static str,
    /// What the linker is told.
    pub ldflags: &'static str,
}

/// The store behind the API server.
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

/// Kubernetes learns its own version from the linker alone. Without these, clients trip over a server that does not know it.
const KUBE_LDFLAGS: &str = "-s -w \
    -X k8s.io/component-base/version.gitVersion=v1.36.2 \
    -X k8s.io/component-base/version.gitMajor=1 \
    -X k8s.io/component-base/version.gitMinor=36 \
    -X k8s.io/client-go/pkg/version.gitVersion=v1.36.2";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubernetes_says_the_version_that_its_module_pins() {
        let go_mod = include_str!("../../../control-plane/kube/go.mod");
        let pinned = go_mod
            .lines()
            .find_map(|line| line.trim().strip_prefix("k8s.io/kubernetes "))
            .and_then(|rest| rest.split_whitespace().next())
            .unwrap();
        let (major, minor) = pinned
            .trim_start_matches('v')
            .split_once('.')
            .map(|(major, rest)| (major, rest.split('.').next().unwrap()))
            .unwrap();
        let said: Vec<&str> =
            KUBE_LDFLAGS.split(" -X ").skip(1).map(|setting| setting.split_once('=').unwrap().1).collect();
        assert_eq!(said, [pinned, major, minor, pinned]);
    }
}
