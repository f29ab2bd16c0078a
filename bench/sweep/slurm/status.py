#!/usr/bin/env python3
"""Tells Snakemake how a Slurm job fares: prints running, success or failed for a job's number.

Asks the controller, which also clusters without an accounting database have, and after it has
forgotten the job the database, if there is one.
"""
import subprocess
import sys

ALIVE = {"PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED", "REQUEUED", "RESIZING", "STAGE_OUT"}


def ask(*command):
    return subprocess.run(command, capture_output=True, text=True, check=False)


def state_of(job):
    answer = ask("scontrol", "--oneliner", "show", "job", job)
    for field in answer.stdout.split():
        if field.startswith("JobState="):
            return field.removeprefix("JobState=")
    if "Invalid job id" not in answer.stderr:
        return "RUNNING"  # the controller does not answer just now
    states = ask("sacct", "-X", "-n", "-P", "-o", "State", "-j", job).stdout.split()
    return states[0] if states else "LOST"


def main():
    state = state_of(sys.argv[1])
    print("running" if state in ALIVE else "success" if state == "COMPLETED" else "failed")


if __name__ == "__main__":
    main()
