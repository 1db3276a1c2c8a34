# Runs the servers of one control plane, and ends them whatever becomes of the process that asked for them.
#
# That process holds the other end of our stdin and never writes to it, so end of file means that it has finished, has
# crashed or was killed. Nobody has to catch a signal for that, and nobody has to run a destructor.
#
# sh supervisor.sh FOLDER ETCD KUBE-APISERVER ETCD-PORT API-PORT
dir=$1 etcd=$2 apiserver=$3 etcd_port=$4 api_port=$5

# Starts a command in the background and prints its process id. A subshell waits for it, so that no zombie passes for a
# living server, and leaves NAME.exit behind when it has ended.
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

# KILL, because there is nothing to save: the data goes with the folder. The API server first, which would otherwise
# spend its last moments complaining about a store that has gone.
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

# The advertised address is one that nobody has: without it the server looks for a default route, and exits where there
# is none. Service accounts' admission is off since nothing here makes the default ones.
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
        --disable-admission-plugins=ServiceAccount \
        --profiling=false
)

read -r _
