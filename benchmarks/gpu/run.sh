#!/usr/bin/env bash
# Everything that is measured on a GPU, in one command: bash benchmarks/gpu/run.sh FOLDER [PART ...]
#
# Each part has a time limit, and one that fails or runs out of time does not end the others. What a part prints goes
# to FOLDER/PART.log and its figures to FOLDER/PART.json; what every part said last comes at the end, as a table.
# Several fits want a photograph of 512 x 768: kodim02 below QUINR_DATA, or else a packaged one.
set -u
cd "$(dirname "$0")/../.."
folder=${1:?usage: bash benchmarks/gpu/run.sh FOLDER [PART ...]}
shift
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
python=${PYTHON:-python3}
wanted=" $* "

# Parts in the order in which they run: name, limit in seconds, lines of the log to repeat, command. A part writes
# its figures to the path that it gets as --json.
summary() {
    cat <<PARTS
floor 60 8 -m benchmarks.gpu.floor --json $folder/floor.json
compile 60 3 -m benchmarks.gpu.compile
fits 150 20 -m benchmarks.gpu.fits --json $folder/fits.json
engines 110 30 -m benchmarks.gpu.engines --json $folder/engines.json
latent_step 90 20 -m benchmarks.gpu.latent_step --json $folder/latent_step.json
tests 100 12 -m pytest -q -p no:cacheprovider -o filterwarnings=default tests/gpu
peers 180 20 -m benchmarks.gpu.peers --json $folder/peers.json
long 130 4 -m benchmarks.gpu.fits --configs kodak_latent.yaml --steps 100000 --eager-steps 30 --seconds 105 --no-command --json $folder/long.json
PARTS
}

begun=$SECONDS
while read -r name limit _ command; do
    [ "$wanted" != "  " ] && [[ "$wanted" != *" $name "* ]] && continue
    start=$SECONDS
    echo "== $name: python $command"
    # shellcheck disable=SC2086
    timeout --signal=INT --kill-after=10 "$limit" "$python" $command >"$folder/$name.log" 2>&1 </dev/null
    status=$?
    echo "   exit status $status after $((SECONDS - start)) s"
    echo "$name $status $((SECONDS - start))" >>"$folder/parts.txt"
done < <(summary)

while read -r name _ lines _; do
    result=$(grep "^$name " "$folder/parts.txt" 2>/dev/null) || continue
    read -r _ status seconds <<<"$result"
    echo
    echo "== $name (exit status $status, $seconds s)"
    tail -n "$lines" "$folder/$name.log" | cut -c 1-160
done < <(summary)
echo
echo "all parts: $((SECONDS - begun)) s"
