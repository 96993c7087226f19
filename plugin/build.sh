#!/usr/bin/env bash
# One zip of the plugin for each Elasticsearch release named, all in plugin/target/zips.
# Needs Maven and a JDK 21 or later (JAVA_HOME).
set -euo pipefail
cd "$(dirname "$0")"
pinned=9.5.3
built=()
mkdir -p target/zips
for version in ${@:-$pinned}; do
  tests=$([ "$version" = "$pinned" ] && echo false || echo true)
  mvn --quiet --batch-mode -Delasticsearch.version="$version" -DskipTests="$tests" \
    -DbuildDirectory="target/$version" package
  cp "target/$version"/*-es"$version".zip target/zips/
  built+=("$version")
done
echo "target/zips: ${built[*]}"
