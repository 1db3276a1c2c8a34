# Runs a program that must end when the owner of this script ends, for whatever reason.
#
# The owner holds the other end of standard input. At end of file, the owner has ended or stops the program: the program
# gets TERM, and 30 seconds later KILL. A line requests KILL at once. The script exits with the exit code of the program.
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
