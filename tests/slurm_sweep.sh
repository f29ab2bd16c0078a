#!/usr/bin/env bash
# A small sweep through bench/sweep/Snakefile on a real Slurm: a controller and one node on this
# machine's loopback, with folders and ports of their own, which end with the script. One job is
# made to fail and one is killed on the node; both must be tried again. Not part of the suite: needs
# Debian's snakemake and slurm-wlm, and build/quant.
#   tests/slurm_sweep.sh MODEL
set -euo pipefail
[ $# -eq 1 ] || { sed -n 's/^#   /usage: /p' "$0" >&2; exit 2; }
root=$(cd "$(dirname "$0")/.." && pwd)
model=$(realpath "$1")
for program in snakemake slurmctld slurmd sbatch; do
  command -v "$program" >/dev/null || { echo "needs $program: apt-get install snakemake slurm-wlm" >&2; exit 2; }
done

work=$(mktemp -d)
daemons=()
finish() {
  for pid in "${daemons[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait
  rm -rf "$work"
}
trap finish EXIT
cd "$work"

name=$(hostname -s)
me=$(id -un)
mkdir state spool
cat >slurm.conf <<CONF
ClusterName=sweep
SlurmctldHost=$name(127.0.0.1)
SlurmctldPort=16817
SlurmdPort=16818
SlurmUser=$me
SlurmdUser=$me
AuthType=auth/none
CredType=cred/none
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool
SlurmctldPidFile=$work/slurmctld.pid
SlurmdPidFile=$work/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
ReturnToService=2
NodeName=$name NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=$(awk '/MemTotal/ {print int($2 / 2048)}' /proc/meminfo)
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
export SLURM_CONF=$work/slurm.conf
slurmctld -D >slurmctld.log 2>&1 & daemons+=($!)
slurmd -D -N "$name" >slurmd.log 2>&1 & daemons+=($!)
for ((i = 0; i < 60; ++i)); do
  [[ $(sinfo -h -o %T 2>/dev/null) == idle ]] && break
  sleep 0.5
done
[[ $(sinfo -h -o %T) == idle ]] || { echo "Slurm did not start:" >&2; tail -5 slurmctld.log slurmd.log >&2; exit 1; }

cat >wrapper.sh <<WRAPPER
#!/usr/bin/env bash
if [[ " \$* " == *" --cell "* ]]; then
  echo "\$SLURM_JOB_ID" >>"$work/jobs"
  mkdir "$work/failed" 2>/dev/null && exit 1
  mkdir "$work/killed" 2>/dev/null && { scancel -s KILL --full "\$SLURM_JOB_ID"; sleep 60; }
fi
exec "$root/build/quant" "\$@"
WRAPPER
chmod +x wrapper.sh
for ((i = 0; i < 60; ++i)); do echo "The tide came in over the flats, $i boats were counted."; done >text.txt
cat >grid.toml <<GRID
models = ["$model"]
texts = ["text.txt"]
contexts = [64]
chunks = 1
types = ["fp32/fp32", "fp16", "turbo_kv_4b", "uniform_2b"]
GRID

export HOME=$work # Snakemake keeps a cache there
timeout 300 snakemake -s "$root/bench/sweep/Snakefile" --profile "$root/bench/sweep/slurm" \
  --config grid=grid.toml dir=out quant=./wrapper.sh --latency-wait 10 >snakemake.log 2>&1 ||
  { cat snakemake.log >&2; exit 1; }

check() { if eval "$2"; then echo "ok: $1"; else echo "failed: $1" >&2; cat snakemake.log >&2; exit 1; fi; }
check "4 cells were measured" '[ "$(ls out/cells/*.json | wc -l)" -eq 4 ]'
check "in 6 attempts, as one failed and one was killed" '[ "$(wc -l <jobs)" -eq 6 ]'
check "by 5 jobs of Slurm, as a failure is tried again in its place" '[ "$(sort -u jobs | wc -l)" -eq 5 ]'
check "Snakemake noticed the killed one" 'grep -q "Trying to restart" snakemake.log'
check "the report has 4 rows" '[ "$(grep -c "^| [ftu]" out/report.md)" -eq 4 ]'
