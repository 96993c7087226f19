"""Real but tiny transformers with random weights, written as Hugging Face folders."""

import json
from pathlib import Path
from typing import Any

WORDS = (
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "red", "blue", "shoe", "shoes", "running", "wireless"),
    *("headphones", "steel", "bottle", "for", "men", "and", "the", "query", "passage", ":", "a"),
)
HIDDEN = 32


def write_bert(folder: Path) -> Path:
    """A BERT with two layers of width 32."""
    import torch
    from transformers import BertConfig, BertModel

    torch.manual_seed(7)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=HIDDEN,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=40,
    )
    BertModel(config).save_pretrained(folder)
    _write_tokenizer(folder, template="[CLS] $A [SEP]")
    return folder


def write_decoder(folder: Path, *, pad_token: str | None = None) -> Path:
    """A GPT-2 with two layers of width 32 and an end token after each text."""
    import torch
    from transformers import GPT2Config, GPT2Model

    torch.manual_seed(8)
    config = GPT2Config(
        vocab_size=len(WORDS), n_embd=HIDDEN, n_layer=2, n_head=2, n_positions=40, bos_token_id=2
    )
    GPT2Model(config).save_pretrained(folder)
    _write_tokenizer(folder, template="$A [SEP]", pad_token=pad_token, eos_token="[SEP]")
    return folder


def _write_tokenizer(folder: Path, *, template: str, **special: Any) -> None:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: number for number, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=template, special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    named = {"unk_token": "[UNK]", "pad_token": "[PAD]", "model_max_length": 40, **special}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **named).save_pretrained(folder)


def declare(
    folder: Path,
    *,
    pooling: str = "mean",
    prompts: dict[str, str] | None = None,
    default_prompt: str | None = None,
    extra_module: str | None = None,
) -> Path:
    """Add sentence-transformers' own files to a folder."""
    modules = ["Transformer", "Pooling", *([extra_module] if extra_module else []), "Normalize"]
    paths = {"Transformer": "", "Pooling": "1_Pooling"}
    listed = [
        {
            "idx": number,
            "name": str(number),
            "path": paths.get(name, f"{number}_{name}"),
            "type": f"sentence_transformers.models.{name}",
        }
        for number, name in enumerate(modules)
    ]
    (folder / "1_Pooling").mkdir()
    names = ("cls_token", "mean_tokens", "max_tokens", "lasttoken")
    flags = {f"pooling_mode_{name}": name.startswith(pooling) for name in names}
    _write(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": HIDDEN, **flags})
    _write(folder / "modules.json", listed)
    _write(folder / "sentence_bert_config.json", {"max_seq_length": 24, "do_lower_case": False})
    _write(
        folder / "config_sentence_transformers.json",
        {"prompts": prompts or {}, "default_prompt_name": default_prompt},
    )
    return folder


def _write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content))
