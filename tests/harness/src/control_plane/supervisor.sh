# Runs the servers of one control plane, and ends them when its owner ends, for whatever reason.
#
# The owner holds the other end of standard input and never writes to it. End of file means that the owner has ended,
# has crashed or was killed. So the owner needs no signal handler and no destructor.
#
# sh supervisor.sh FOLDER ETCD KUBE-APISERVER ETCD-PORT API-PORT
dir=$1 etcd=$2 apiserver=$3 etcd_port=$4 api_port=$5

# Starts a command in the background, and prints its process id. A subshell waits for it, so that a zombie does not look
# like a running server. The subshell writes NAME.exit when the command has exited.
serve() {
    name=$1
    shift
    (
        "$@" >"$name.log" 2>&1 </dev/null &
        echo $!
        exec >&-
        wait $!
        : >"$name.exit"
    ) &
}

# KILL, because there is nothing to save: the data is removed with the folder. The API server ends first, since without
# etcd it would log errors.
end() {
    trap '' HUP INT TERM
    for server in "kube-apiserver:$apiserver_pid" "etcd:$etcd_pid"; do
        name=${server%%:*} pid=${server##*:}
        [ -e "$name.exit" ] || kill -KILL "$pid" 2>/dev/null
        while kill -0 "$pid" 2>/dev/null && ! [ -e "$name.exit" ]; do sleep 0.05; done
    done
    cd / && rm -rf "$dir"
}

cd "$dir" || exit 1
trap end EXIT
trap exit HUP INT TERM

etcd_pid=$(
    serve etcd "$etcd" \
        --data-dir "$dir/etcd" \
        --listen-client-urls "http://127.0.0.1:$etcd_port" \
        --advertise-client-urls "http://127.0.0.1:$etcd_port" \
        --listen-peer-urls http://127.0.0.1:0 \
        --unsafe-no-fsync \
        --log-level warn
)

# The advertised address is from a documentation range. Without it, the server exits if there is no default route. The
# ServiceAccount admission plugin is off, since no controller creates the default accounts. The audit log stays in one
# file, which the tests read.
apiserver_pid=$(
    serve kube-apiserver "$apiserver" \
        --bind-address=127.0.0.1 \
        --advertise-address=198.51.100.1 \
        --secure-port="$api_port" \
        --etcd-servers="http://127.0.0.1:$etcd_port" \
        --cert-dir="$dir/pki" \
        --token-auth-file="$dir/tokens.csv" \
        --service-account-issuer=https://kubernetes.default.svc \
        --service-account-key-file="$dir/sa.pub" \
        --service-account-signing-key-file="$dir/sa.key" \
        --service-cluster-ip-range=10.0.0.0/24 \
        --authorization-mode=RBAC \
        --audit-policy-file="$dir/audit-policy.json" \
        --audit-log-path="$dir/audit.log" \
        --audit-log-maxsize=100000 \
        --disable-admission-plugins=ServiceAccount \
        --profiling=false
)

read -r _
