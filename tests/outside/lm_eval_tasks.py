#!/usr/bin/env python3
"""The local tasks of lm_eval.sh.

    lm_eval_tasks.py write DIR     writes data (JSON lines) and task files (YAML)
    lm_eval_tasks.py compare DIR   fails unless lm-eval's results are those of quant score
"""
import json
import math
import pathlib
import re
import sys

CHOICES = [
    ("The capital of France is", ["Paris.", "London, on the Thames.", "Berlin."], 0),
    ("Two plus two is", ["seven", "four", "a banana split with cream"], 1),
    ("The sun rises in the", ["west and sets in the north.", "east.", "cellar."], 1),
    ("Water freezes at zero degrees", ["Celsius.", "Kelvin, of course.", "north."], 0),
    ("She opened the umbrella because it was", ["raining.", "made of glass and of steel.", "Tuesday."], 0),
    ("Bees make", ["honey.", "cheese.", "long lists of all the things they would rather do."], 0),
    ("He was thirsty, so he drank a glass of ", ["sand.", "water.", "the Atlantic Ocean."], 2),  # wrong on purpose: acc is not 1
    ("Cats are afraid of", ["the number nine.", "dogs.", "mice \u2013 always."], 1),
]
LAST_WORDS = [
    ("Once upon a", "time"),
    ("The quick brown fox jumps over the lazy", "dog"),
    ("To be or not to be, that is the", "question"),
    ("Twinkle, twinkle, little", "star"),
]
TEXTS = [
    "It is a truth universally acknowledged, that a single man in possession of a good fortune must be in want of a wife.",
    "Call me Ishmael. Some years ago, never mind how long precisely. " * 60,  # longer than the context
]
ANSWERS = ["1, 2, 3, 4, 5,", "Q: What is the capital of Italy?\nA: Rome.\nQ: What is the capital of Spain?\nA:"]

YAML = """task: {name}
dataset_path: json
dataset_kwargs:
  data_files:
    test: {data}
test_split: test
output_type: {kind}
metadata:
  version: 1.0
"""


def write_lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def write(work):
    write_lines(work / "choices.jsonl", [{"context": c, "endings": e, "label": l} for c, e, l in CHOICES])
    write_lines(work / "last_word.jsonl", [{"context": c, "continuation": f" {w}"} for c, w in LAST_WORDS])
    write_lines(work / "text.jsonl", [{"text": text} for text in TEXTS])
    write_lines(work / "answers.jsonl", [{"prompt": prompt} for prompt in ANSWERS])
    tasks = {
        "choices": ("multiple_choice", 'doc_to_text: "{{context}}"\ndoc_to_choice: "{{endings}}"\n'
                    "doc_to_target: label\nmetric_list:\n  - metric: acc\n  - metric: acc_norm\n"),
        "last_word": ("loglikelihood", 'doc_to_text: "{{context}}"\ndoc_to_target: "{{continuation}}"\n'
                      'target_delimiter: ""\nmetric_list:\n  - metric: perplexity\n  - metric: acc\n'),
        "text": ("loglikelihood_rolling", 'doc_to_text: ""\ndoc_to_target: "{{text}}"\n'
                 "metric_list:\n  - metric: word_perplexity\n"),
        "answers": ("generate_until", 'doc_to_text: "{{prompt}}"\ndoc_to_target: ""\ngeneration_kwargs:\n'
                    '  until: ["\\n", ","]\n  max_gen_toks: 24\n'
                    "metric_list:\n  - metric: exact_match\n"),
    }
    for name, (kind, rest) in tasks.items():
        head = YAML.format(name=f"local_{name}", data=work / f"{name}.jsonl", kind=kind)
        (work / f"local_{name}.yaml").write_text(head + rest, encoding="utf-8")


def lines_of(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def agree(name, theirs, ours):
    print(f"{name:<28} lm-eval {theirs:.6f}  quant {ours:.6f}")
    if not math.isclose(theirs, ours, rel_tol=1e-9, abs_tol=1e-12):
        sys.exit(f"{name} does not agree")


def compare(work):
    results = json.loads(next((work / "out").rglob("results_*.json")).read_text())["results"]
    choices = json.loads((work / "choices.json").read_text())
    for metric in ("acc", "acc_stderr", "acc_norm", "acc_norm_stderr"):
        agree(f"choices {metric}", results["local_choices"][f"{metric},none"], choices[metric])

    last = lines_of(work / "last_word.scores")
    mean = sum(row["log_likelihood"] for row in last) / len(last)
    agree("last_word perplexity", results["local_last_word"]["perplexity,none"], math.exp(-mean))
    agree("last_word acc", results["local_last_word"]["acc,none"], sum(row["greedy"] for row in last) / len(last))

    total = sum(row["log_likelihood"] for row in lines_of(work / "text.scores"))
    words = sum(len(re.split(r"\s+", text)) for text in TEXTS)  # as lm-eval counts them
    agree("text word_perplexity", results["local_text"]["word_perplexity,none"], math.exp(-total / words))

    samples = sorted(lines_of(next((work / "out").rglob("samples_local_answers_*.jsonl"))), key=lambda s: s["doc_id"])
    for sample in samples:
        text = sample["resps"][0][0]
        print("answers", repr(text))
        if not text or "\n" in text or "," in text:
            sys.exit(f"the answer {text!r} is empty or goes beyond a stop text")


if __name__ == "__main__":
    {"write": write, "compare": compare}[sys.argv[1]](pathlib.Path(sys.argv[2]))
