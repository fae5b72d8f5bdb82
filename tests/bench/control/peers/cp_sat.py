"""The most value that can be placed: an integer program for OR-tools CP-SAT. Instance on stdin, answer on stdout.

Runs in the benchmarks' own environment (locks/bench.txt) and imports nothing of the project.
"""

import json
import sys

from ortools.sat.python import cp_model

instance = json.load(sys.stdin)
model = cp_model.CpModel()
load: list[list[object]] = [[] for _ in instance["capacities"]]
worth = []
for job in instance["jobs"]:
    choices = [model.new_bool_var("") for _ in job["workers"]]
    model.add_at_most_one(choices)
    for chosen, worker in zip(choices, job["workers"], strict=True):
        load[worker].append(job["slots"] * chosen)
        worth.append(job["value"] * chosen)
for capacity, used in zip(instance["capacities"], load, strict=True):
    model.add(sum(used) <= capacity)
model.maximize(sum(worth))
solver = cp_model.CpSolver()
solver.parameters.max_time_in_seconds = instance["seconds"]
solver.parameters.num_workers = 2
status = solver.solve(model)
print(json.dumps({"bound": solver.best_objective_bound, "found": solver.objective_value, "status": int(status)}))
