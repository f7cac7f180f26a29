#!/bin/sh
# Prolog of Slurm: tells Joulebook which GPUs a job holds on this node, so that each job is booked the energy of its own.
#
# In slurm.conf:  Prolog=/etc/slurm/prolog.sh  and  PrologFlags=Alloc  (else only a job's first node tells).
# Settings, in /etc/joulebook/slurm.env or the environment:
#   JOULEBOOK_URL=https://energy.example.org      where the site is
#   JOULEBOOK_TOKEN_FILE=/etc/joulebook/token     a token with scope jobs:write, readable for root only
#
# It never delays a job and never fails one: what takes time goes on by itself, for ten seconds at most, and it ends
# with 0 whatever happens.

[ "$1" = send ] || {
    [ -n "$SLURM_JOB_GPUS$SLURM_STEP_GPUS" ] || exit 0
    # Slurm kills what a prolog leaves behind in its process group: this one gets its own. The substitution waits until
    # the other half has closed its output, which it does first of all: by then it is out of the group.
    started=$(setsid "$0" send </dev/null 2>/dev/null &)
    exit 0
}
exec >/dev/null

settings=${JOULEBOOK_SETTINGS:-/etc/joulebook/slurm.env}
[ -r "$settings" ] && . "$settings"
[ -n "$JOULEBOOK_URL" ] && [ -r "$JOULEBOOK_TOKEN_FILE" ] || exit 0

node=${SLURMD_NODENAME:-$(hostname -s)}
seen=$(date +%s)
places=$(timeout 3 nvidia-smi --query-gpu=index,uuid --format=csv,noheader 2>/dev/null | tr -d ' ')
holds=
for index in $(printf %s "${SLURM_JOB_GPUS:-$SLURM_STEP_GPUS}" | tr ',' ' '); do
    case $index in *[!0-9]*) continue ;; esac
    uuid=$(printf '%s\n' "$places" | sed -n "s/^$index,\([A-Za-z0-9-]*\)$/\1/p")
    gpu="\"index\": $index"
    [ -n "$uuid" ] && gpu="\"gpu\": \"$uuid\""
    holds="$holds${holds:+, }{\"job_id\": \"$SLURM_JOB_ID\", \"node\": \"$node\", $gpu, \"seen\": $seen, \"via\": \"prolog\"}"
done
[ -n "$holds" ] || exit 0

# The token goes through standard input: what stands on a command line can be read by everybody.
printf 'header = "Authorization: Bearer %s"\n' "$(cat "$JOULEBOOK_TOKEN_FILE")" |
    curl --config - --silent --max-time 10 --retry 2 --retry-connrefused --retry-delay 1 --header 'Content-Type: application/json' \
        --data "{\"holds\": [$holds]}" "$JOULEBOOK_URL/api/v1/gpu-holds"
exit 0
