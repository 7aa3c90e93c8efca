#!/bin/sh
# Fetch Apache Kafka's jars (pom.xml pins the versions) into var/kafka/libs, for tests and benchmarks. Needs Java 17 and mvn.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
into=${1:-$here/../../var/kafka/libs}
for program in java mvn; do
    command -v "$program" >/dev/null || { echo "fetch.sh: $program is missing; install Java 17 and Maven" >&2; exit 2; }
done
stamp=$(cksum <"$here/pom.xml")
if [ -f "$into/.stamp" ] && [ "$(cat "$into/.stamp")" = "$stamp" ]; then
    exit 0
fi
rm -rf "$into"
mkdir -p "$into"
into=$(cd "$into" && pwd)
mvn -q -B -f "$here/pom.xml" dependency:copy-dependencies -DoutputDirectory="$into"
echo "$stamp" >"$into/.stamp"
