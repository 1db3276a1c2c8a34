# Runs a program that has to end when the process that asked for it does, for whatever reason.
#
# That process holds the other end of our stdin. End of file means that it has gone or has had enough: then the program
# gets TERM, and half a minute later KILL. A line asks for KILL at once. We end as the program does, with its exit code.
#
# sh -c THIS leash PROGRAM ARGUMENT...
exec 3<&0
"$@" </dev/null 3<&- &
program=$!
(
    if read -r _; then
        kill -KILL $program
        exit
    fi
    kill -TERM $program
    tries=300
    while kill -0 $program && [ $tries -gt 0 ]; do
        sleep 0.1
        tries=$((tries - 1))
    done
    kill -KILL $program
) <&3 >/dev/null 2>&1 &
reader=$!
exec 3<&-
wait $program
code=$?
kill $reader 2>/dev/null
exit $code
