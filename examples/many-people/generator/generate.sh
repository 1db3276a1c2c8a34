#!/bin/sh
# Writes people/ from people.csv: one manifest for each person, and the kustomization that lists them.
# The first line of people.csv names the columns: name, then id or username, and if you like attempt and revoked.
set -eu
cd "$(dirname "$0")"
rm -rf people.new
mkdir people.new

awk '
  BEGIN { FS = OFS = "," }
  function fail(text) { print "people.csv, line " NR ": " text > "/dev/stderr"; failed = 1 }
  # The line of an earlier person with the same value, or 0. Usernames match without regard to case.
  function earlier(kind, value, key) {
    key = kind " " tolower(value)
    if (key in seen) return seen[key]
    seen[key] = NR
    return 0
  }
  NR == 1 { sub(/^\357\273\277/, "") } # a spreadsheet may write this mark
  {
    sub(/\r$/, "")
    for (i = 1; i <= NF; i++) gsub(/^[ \t]+|[ \t]+$/, "", $i)
  }
  /^[ \t]*(#|$)/ { next }
  !columns {
    columns = NF
    for (i = 1; i <= NF; i++) {
      column[i] = $i
      if ($i !~ /^(name|id|username|attempt|revoked)$/) fail("unknown column " $i)
    }
    if ($1 != "name") fail("the first column must be name")
    next
  }
  {
    if (NF > columns) { fail("more values than columns"); next }
    if (/["\\]/) { fail("a value must not have quotes or backslashes"); next }
    if ($1 !~ /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/ || length($1) > 63 || $1 == "kustomization") {
      fail("name \"" $1 "\" must be lowercase letters, digits and hyphens, at most 63, and not kustomization")
      next
    }
    if (line = earlier("name", $1)) { fail("name " $1 " is also in line " line); next }
    identity = ""
    rest = ""
    for (i = 2; i <= NF; i++) {
      if ($i == "") continue
      if (column[i] == "id" || column[i] == "username") {
        if (line = earlier(column[i], $i)) fail(column[i] " " $i " is also in line " line ": one request for each person")
        value = $i
        gsub(/\047/, "\047\047", value)
        identity = identity "    " column[i] ": \047" value "\047\n"
      } else rest = rest "  " column[i] ": " $i "\n"
    }
    if (identity == "") { fail(column[2] " of " $1 " is empty"); next }
    file = "people.new/" $1 ".yaml"
    printf "apiVersion: beyondidentity.dev/v1alpha1\nkind: EnrollmentRequest\nmetadata:\n  name: \047%s\047\nspec:\n%s  identity:\n%s", \
      $1, rest, identity > file
    close(file)
    count++
  }
  # An empty list is a mistake: it would remove everybody.
  END {
    if (!failed && !count) { print "people.csv: no people" > "/dev/stderr"; failed = 1 }
    exit failed
  }
' people.csv || { rm -rf people.new; exit 1; }

# In the order of the names, so that another order of the list changes nothing.
{
  printf 'apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n'
  (cd people.new && LC_ALL=C ls) | sed 's/^/  - /'
} >kustomization.new
mv kustomization.new people.new/kustomization.yaml
rm -rf people
mv people.new people
