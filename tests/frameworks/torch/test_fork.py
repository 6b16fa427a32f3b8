"""A process that forks while another of its threads explains, as a data loader's workers are started."""

import os
import subprocess
import sys

import pytest

CODE = """
import os, threading, torch, seewhy
torch.set_num_threads(1)
torch.manual_seed(0)
in_run, may_go_on = threading.Event(), threading.Event()

class Waiting(torch.nn.Module):
    def forward(self, x):
        if threading.current_thread() is not threading.main_thread():
            in_run.set()
            may_go_on.wait()
        return x

model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU(), Waiting())
model.append(torch.nn.Flatten()).append(torch.nn.Linear(144, 2)).train()
explainer, inputs = seewhy.Explainer(model, layer="0"), torch.randn(2, 3, 8, 8)
expected = explainer.heatmaps(inputs, 1).values
keys = sorted(vars(torch.nn.Module))
thread = threading.Thread(target=lambda: explainer.heatmaps(inputs, 1))
thread.start()
in_run.wait()
child = os.fork()
if child == 0:
    found = [explainer.heatmaps(inputs, 1).values]
    def in_new_threads():
        # One of them may be given the number of the thread that does not exist here.
        found.append(explainer.heatmaps(inputs, 1).values)
        found.append(seewhy.Explainer(model, layer="2").heatmaps(inputs, 1).values)
    may_go_on.set()
    for _ in range(3):
        new = threading.Thread(target=in_new_threads)
        new.start()
        new.join()
    is_right = len(found) == 7 and all((each == expected).all() for each in found[:2])
    os._exit(0 if is_right and all(module.training for module in model) else 1)
may_go_on.set()
thread.join()
_, status = os.waitpid(child, 0)
print(os.waitstatus_to_exitcode(status), sorted(vars(torch.nn.Module)) == keys)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_child_forked_while_the_parent_explains_explains_too():
    command = [sys.executable, "-W", "ignore", "-c", CODE]
    found = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert found.stdout.split() == ["0", "True"], found.stderr
