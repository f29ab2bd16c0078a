#!/usr/bin/env python3
"""Tiny random models, and the reference engine's logits for them.

    ../shared/tools/peer.sh PEER        # builds the reference engine, llama.cpp b11434
    make/build_dump.sh PEER
    python3 make/make_fixtures.py PEER  # needs the PyPI packages gguf and numpy

Writes NAME.gguf, NAME.logits.npy and peer.json beside the directory of this file.
"""
import ctypes
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import zlib

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type

PEER = pathlib.Path(sys.argv[1]).resolve()
MAKE = pathlib.Path(__file__).resolve().parent
OUT = MAKE.parent
N_VOCAB = 288
N_TOKENS = 48
GGML = ctypes.CDLL(str(PEER / "bin" / "libggml-base.so"))
GGML.ggml_quantize_chunk.restype = ctypes.c_size_t


def model(arch, weights, n_embd=64, n_layers=2, n_heads=4, n_kv_heads=2, n_ff=128, key_dim=0, n_rot=0, context=256,
          untied=False, spm=False, meta=None, factors=None):
    """A description; meta holds further keys of the architecture, factors further F32 tensors."""
    key_dim = key_dim or n_embd // n_heads
    return dict(arch=arch, weights=weights, n_embd=n_embd, n_layers=n_layers, n_heads=n_heads,
                n_kv_heads=n_kv_heads, n_ff=n_ff, key_dim=key_dim, n_rot=n_rot or key_dim, context=context,
                untied=untied, spm=spm, meta=meta or {}, factors=factors or {})


def yarn(factor, **more):
    return {"rope.scaling.type": "yarn", "rope.scaling.factor": factor,
            "rope.scaling.original_context_length": 64, **more}


LONGROPE = dict(
    weights=Type.Q8_0, n_heads=2, n_kv_heads=1, n_rot=16, context=1024, spm=True,
    # As llama.cpp's converter writes phi3 files: no rope.scaling.type.
    meta={"rope.scaling.original_context_length": 256, "rope.scaling.attn_factor": 1.1180340},
    factors={"rope_factors_long.weight": np.linspace(1.0, 9.0, 8),
             "rope_factors_short.weight": np.linspace(1.0, 1.7, 8)})

MODELS = {
    "llama_q4_0": model("llama", Type.Q4_0),
    "llama_q4_1": model("llama", Type.Q4_1),
    "llama_q5_0": model("llama", Type.Q5_0),
    "llama_q5_1": model("llama", Type.Q5_1),
    "llama_iq4_nl": model("llama", Type.IQ4_NL),
    "llama_iq4_xs": model("llama", Type.IQ4_XS, n_embd=256, n_layers=1, n_heads=2, n_kv_heads=1, n_ff=256, key_dim=32),
    "llama_untied": model("llama", Type.Q8_0, untied=True),
    "llama_split": model("llama", Type.Q8_0, untied=True),
    "llama_linear": model("llama", Type.Q8_0, meta={"rope.scaling.type": "linear", "rope.scaling.factor": 4.0}),
    "llama_scale_linear": model("llama", Type.Q8_0, meta={"rope.scale_linear": 2.5}),
    "llama_yarn": model("llama", Type.Q8_0, n_heads=2, n_kv_heads=1, meta=yarn(4.0)),
    "llama_yarn_attn": model("llama", Type.Q8_0, n_heads=2, n_kv_heads=1,
                             meta=yarn(4.0, **{"rope.scaling.attn_factor": 0.8})),
    "qwen2_yarn": model("qwen2", Type.Q8_0, n_heads=2, n_kv_heads=1, meta=yarn(8.0)),
    "gemma3_linear": model("gemma3", Type.Q8_0, n_embd=32, n_layers=6, n_heads=2, n_kv_heads=1, n_ff=64, key_dim=16,
                           spm=True, meta={"rope.scaling.type": "linear", "rope.scaling.factor": 8.0,
                                           "attention.sliding_window": 20, "rope.freq_base": 1e6}),
    "phi3": model("phi3", Type.Q8_0, n_embd=96, n_layers=1, n_heads=3, n_kv_heads=1, n_ff=160, untied=True, spm=True),
    "phi3_longrope": model("phi3", **LONGROPE),
}
# Sessions that are compared: all models at a context of 256; LongRoPE on both sides of its original
# context of 256.
RUNS = {name: (name, 256) for name in MODELS if name != "phi3_longrope"} | {
    "phi3_longrope_short": ("phi3_longrope", 256),
    "phi3_longrope_long": ("phi3_longrope", 512),
}


def tensors(m, rng):
    """Names and float32 values. Queries and keys are larger than usual, so that attention is sharp
    and errors of position show."""
    embd, q, kv = m["n_embd"], m["n_heads"] * m["key_dim"], m["n_kv_heads"] * m["key_dim"]
    gemma = m["arch"].startswith("gemma")

    def matrix(rows, columns, gain=1.0):
        return rng.normal(0.0, gain / np.sqrt(columns), (rows, columns))

    def vector(n, mean=1.0):
        return rng.normal(mean, 0.1, n)

    yield "token_embd.weight", matrix(N_VOCAB, embd)
    yield "output_norm.weight", vector(embd)
    if m["untied"]:
        yield "output.weight", matrix(N_VOCAB, embd)
    yield from m["factors"].items()
    for i in range(m["n_layers"]):
        layer = {"attn_norm.weight": vector(embd)}
        if m["arch"] == "phi3":
            layer["attn_qkv.weight"] = np.concatenate(
                [matrix(q, embd, 1.6), matrix(kv, embd, 1.6), matrix(kv, embd)])
        else:
            layer["attn_q.weight"] = matrix(q, embd, 1.6)
            layer["attn_k.weight"] = matrix(kv, embd, 1.6)
            layer["attn_v.weight"] = matrix(kv, embd)
        if m["arch"] == "qwen2":
            layer |= {"attn_q.bias": vector(q, 0.0), "attn_k.bias": 5 * vector(kv, 0.0), "attn_v.bias": vector(kv, 0.0)}
        layer["attn_output.weight"] = matrix(embd, q)
        if gemma:
            layer |= {"attn_q_norm.weight": vector(m["key_dim"]), "attn_k_norm.weight": vector(m["key_dim"]),
                      "post_attention_norm.weight": vector(embd), "post_ffw_norm.weight": vector(embd)}
        layer["ffn_norm.weight"] = vector(embd)
        if m["arch"] == "phi3":
            layer["ffn_up.weight"] = matrix(2 * m["n_ff"], embd)
        else:
            layer["ffn_gate.weight"] = matrix(m["n_ff"], embd)
            layer["ffn_up.weight"] = matrix(m["n_ff"], embd)
        layer["ffn_down.weight"] = matrix(embd, m["n_ff"])
        for name, value in layer.items():
            yield f"blk.{i}.{name}", value


def quantize(value, kind):
    """Rows in the stored type, uint8 [rows][row bytes]; by the reference engine's own code."""
    block = gguf.GGML_QUANT_SIZES[kind][0]
    if value.shape[1] % block:
        kind = Type.Q8_0
    rows, columns = value.shape
    block, block_bytes = gguf.GGML_QUANT_SIZES[kind]
    stored = np.zeros((rows, columns // block * block_bytes), np.uint8)
    pointer = ctypes.POINTER(ctypes.c_float)
    GGML.ggml_quantize_chunk(ctypes.c_int(kind), value.ctypes.data_as(pointer), stored.ctypes.data_as(ctypes.c_void_p),
                             ctypes.c_int64(0), ctypes.c_int64(rows), ctypes.c_int64(columns), None)
    return stored, kind


def add_vocabulary(writer, spm):
    """Control tokens, all bytes, and letters to fill up: enough for text to go in and out."""
    kinds = gguf.TokenType
    if spm:
        tokens = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)] + ["\u2581"]
        types = [kinds.UNKNOWN, kinds.CONTROL, kinds.CONTROL] + [kinds.BYTE] * 256 + [kinds.NORMAL]
    else:
        printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
        others = [byte for byte in range(256) if byte not in printable]
        shown = {byte: chr(byte) for byte in printable} | {byte: chr(256 + i) for i, byte in enumerate(others)}
        tokens = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"] + [shown[byte] for byte in range(256)]
        types = [kinds.CONTROL] * 3 + [kinds.NORMAL] * 256
    pairs = [(first, second) for first in "thaeinors" for second in "heatnr"][: N_VOCAB - len(tokens)]
    tokens += [first + second for first, second in pairs]
    types += [kinds.NORMAL] * len(pairs)
    writer.add_tokenizer_model("llama" if spm else "gpt2")
    writer.add_tokenizer_pre("default" if spm else "smollm")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    if spm:
        writer.add_token_scores([0.0] * 259 + [-float(i) for i in range(N_VOCAB - 259)])
    else:
        writer.add_token_merges([f"{first} {second}" for first, second in pairs])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(spm)


def write(path, m, weights):
    writer = gguf.GGUFWriter(path, m["arch"])
    writer.add_name("tiny")  # "phi3" in it would make the engine ask for that model's special tokens
    writer.add_context_length(m["context"])
    writer.add_embedding_length(m["n_embd"])
    writer.add_block_count(m["n_layers"])
    writer.add_feed_forward_length(m["n_ff"])
    writer.add_head_count(m["n_heads"])
    writer.add_head_count_kv(m["n_kv_heads"])
    writer.add_key_length(m["key_dim"])
    writer.add_value_length(m["key_dim"])
    writer.add_rope_dimension_count(m["n_rot"])
    writer.add_layer_norm_rms_eps(1e-5)
    for key, value in m["meta"].items():
        add = {str: writer.add_string, float: writer.add_float32, int: writer.add_uint32}[type(value)]
        add(f"{m['arch']}.{key}", value)
    add_vocabulary(writer, m["spm"])
    for tensor, (value, kind) in weights.items():
        writer.add_tensor(tensor, value, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def logits(path, tokens, context, work):
    out = work / "logits.bin"
    subprocess.run([PEER / "dump_logits", path, str(context), out], input=" ".join(map(str, tokens)), text=True,
                   check=True)
    return np.fromfile(out, np.float32).reshape(len(tokens), N_VOCAB)


def mean_nll(values, tokens):
    values = values[:-1].astype(np.float64)
    top = values.max(axis=1, keepdims=True)
    log_sum = np.log(np.exp(values - top).sum(axis=1)) + top[:, 0]
    return float(np.mean(log_sum - values[np.arange(len(values)), tokens[1:]]))


def make_model(name, m, work):
    """The stored model, in place, and an F32 one of the same values, for the exact logits."""
    stored, exact = {}, {}
    for tensor, value in tensors(m, np.random.default_rng(zlib.crc32(name.encode()))):
        value = np.ascontiguousarray(value, np.float32)
        stored[tensor] = (value, Type.F32) if value.ndim == 1 else quantize(value, m["weights"])
        data, kind = stored[tensor]
        exact[tensor] = (data if kind == Type.F32 else gguf.quants.dequantize(data, kind), Type.F32)
    write(OUT / f"{name}.gguf", m, stored)
    write(work / f"{name}.f32.gguf", m, exact)


def split(name):
    """Replaces a model by three parts."""
    subprocess.run([PEER / "bin" / "llama-gguf-split", "--split", "--split-max-tensors", "8", OUT / f"{name}.gguf",
                    OUT / name], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    (OUT / f"{name}.gguf").unlink()
    return f"{name}-00001-of-00003.gguf"


def main():
    records = {}
    work = pathlib.Path(tempfile.mkdtemp())
    for name, m in MODELS.items():
        make_model(name, m, work)
    for run, (name, context) in RUNS.items():
        tokens = np.random.default_rng(zlib.crc32(run.encode())).integers(3, N_VOCAB, N_TOKENS).tolist()
        file = split(name) if name == "llama_split" else f"{name}.gguf"
        exact = logits(work / f"{name}.f32.gguf", tokens, context, work)
        stored = logits(OUT / file, tokens, context, work)
        np.save(OUT / f"{run}.logits.npy", exact)
        records[run] = {
            "file": file, "context": context, "tokens": tokens, "n_vocab": N_VOCAB,
            "mean_nll_f32": mean_nll(exact, tokens), "logit_std": float(exact.std()),
            "llamacpp_as_stored_max_abs_diff": float(np.abs(stored - exact).max()),
        }
    lines = [f'  "{run}": {json.dumps(record)}' for run, record in records.items()]
    (OUT / "peer.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    shutil.rmtree(work)


if __name__ == "__main__":
    main()
