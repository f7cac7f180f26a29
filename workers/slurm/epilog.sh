#!/bin/sh
# EpilogSlurmctld of Slurm: writes what a job drew into its AdminComment, where sacct and seff-like tools show it.
#
# In slurm.conf:  EpilogSlurmctld=/etc/slurm/joulebook-epilog.sh
# Settings, in /etc/joulebook/slurm.env or the environment:
#   JOULEBOOK_ENERGY="ssh joulebook@energy manage.py energy job"   what tells a job's energy, given cluster and job id
#   JOULEBOOK_WAIT_S=600     by when the job's last readings have come, and are booked
#
# A comment that is there already (Jobstats) stays. It delays nothing and ends with 0 whatever happens.

[ "$1" = tell ] || {
    setsid "$0" tell </dev/null >/dev/null 2>&1 &
    exit 0
}

settings=${JOULEBOOK_SETTINGS:-/etc/joulebook/slurm.env}
[ -r "$settings" ] && . "$settings"
[ -n "$JOULEBOOK_ENERGY" ] && [ -n "$SLURM_JOB_ID" ] || exit 0

sleep "${JOULEBOOK_WAIT_S:-600}"
[ -z "$(sacct --noheader --parsable2 --allocations --jobs="$SLURM_JOB_ID" --format=AdminComment | tr -d '\n')" ] || exit 0
# shellcheck disable=SC2086 # the words of the command
told=$(timeout 60 $JOULEBOOK_ENERGY "$SLURM_CLUSTER_NAME" "$SLURM_JOB_ID" 2>/dev/null | head -n 1 | tr -d "'\"\\\\" | cut -c 1-200)
# Older versions of sacctmgr store it in lower case.
[ -n "$told" ] &&
    sacctmgr --immediate --quiet modify job where jobid="$SLURM_JOB_ID" cluster="$SLURM_CLUSTER_NAME" set AdminComment="$told"
exit 0
