#!/usr/bin/env python3
"""lm-evaluation-harness (PyPI lm-eval 0.4) on the quant command.

    lm_eval_quant.py --model quant --model_args 'model=m.gguf,options=-k turbo_kv_4b --k-window 128' --tasks ...

takes lm_eval's own command line. Further model arguments: command=PATH of quant (default: this
tree's build/quant, else the one on PATH). A program of one's own imports QuantLM from here.
Log-likelihoods come from `quant score`, sorted so that shared contexts are run once; generated
text comes from `quant -p -` and is cut at the first stop text. Needs neither torch nor transformers.
"""
import json
import pathlib
import shlex
import subprocess

from lm_eval.api.model import LM
from lm_eval.api.registry import register_model
from tqdm import tqdm

BUILT = pathlib.Path(__file__).resolve().parent.parent / "build" / "quant"
MAX_NEW_TOKENS = 256


def cut_at(text, stops):
    """The text before the earliest stop text, and whether there is one."""
    found = [at for at in (text.find(stop) for stop in stops) if at >= 0]
    return (text[: min(found)], True) if found else (text, False)


@register_model("quant")
class QuantLM(LM):
    def __init__(self, model, command=None, options="", **_):  # lm_eval also passes batch_size and device
        super().__init__()
        self.model = model
        self.command = command or (str(BUILT) if BUILT.exists() else "quant")
        self.options = shlex.split(options)

    def _score(self, jobs, disable_tqdm):
        """Results of `quant score` in the order of the jobs, which run in the order of their texts."""
        command = [self.command, "score", self.model, "--truncate", "--special", *self.options]
        results = [None] * len(jobs)
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8") as process:
            for i in tqdm(sorted(range(len(jobs)), key=lambda i: tuple(jobs[i].values())), disable=disable_tqdm):
                try:
                    process.stdin.write(json.dumps(jobs[i]) + "\n")
                    process.stdin.flush()
                except BrokenPipeError:
                    pass  # the missing answer says it
                answer = process.stdout.readline()
                if not answer:
                    raise RuntimeError(f"quant score gave no answer to {jobs[i]}; its error is on stderr")
                results[i] = json.loads(answer)
        return results

    def loglikelihood(self, requests, disable_tqdm=False):
        jobs = [{"context": context, "continuation": continuation}
                for context, continuation in (request.args for request in requests)]
        results = [(r["log_likelihood"], r["greedy"]) for r in self._score(jobs, disable_tqdm)]
        for request, result in zip(requests, results):
            self.cache_hook.add_partial("loglikelihood", request.args, result)
        return results

    def loglikelihood_rolling(self, requests, disable_tqdm=False):
        jobs = [{"text": request.args[0]} for request in requests]
        results = [r["log_likelihood"] for r in self._score(jobs, disable_tqdm)]
        for request, result in zip(requests, results):
            self.cache_hook.add_partial("loglikelihood_rolling", request.args, result)
        return results

    def generate_until(self, requests, disable_tqdm=False):
        results = []
        for request in tqdm(requests, disable=disable_tqdm):
            results.append(self._generate(*request.args))
            self.cache_hook.add_partial("generate_until", request.args, results[-1])
        return results

    def _generate(self, prompt, settings):
        stops = settings.get("until") or []
        stops = [stops] if isinstance(stops, str) else stops
        temperature = settings.get("temperature", 0.0) if settings.get("do_sample", False) else 0.0
        command = [self.command, self.model, "-p", "-", "-T", str(temperature),
                   "-n", str(settings.get("max_gen_toks", MAX_NEW_TOKENS)), *self.options]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            process.stdin.write(prompt.encode())
            process.stdin.close()
            text = b""
            while piece := process.stdout.read1():
                text += piece
                before, stopped = cut_at(text.decode(errors="replace"), stops)
                if stopped:
                    process.terminate()
                    return before
        if process.returncode != 0:
            raise RuntimeError("quant could not generate; its error is on stderr")
        return text.decode(errors="replace").removesuffix("\n")


if __name__ == "__main__":
    from lm_eval.__main__ import cli_evaluate

    cli_evaluate()
