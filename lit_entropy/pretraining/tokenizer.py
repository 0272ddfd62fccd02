"""The character tokenizers of the tiny tasks: one token per character."""

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from lit_entropy.tasks.discovery_world import LETTERS

PAD, BOS, EOS, UNKNOWN = "<pad>", "<bos>", "<eos>", "<unk>"
#: Chain arithmetic and countdown; strategy discovery adds a mark and the letters of strategies.
CHARACTERS = "0123456789+-*=;# "
DISCOVERY_CHARACTERS = CHARACTERS + ":" + LETTERS
#: The byte-level alphabet writes a space as this letter.
SPACE = "\u0120"


def character_tokenizer(characters: str = CHARACTERS) -> PreTrainedTokenizerFast:
    """A fast tokenizer that ``save_pretrained`` writes and ``AutoTokenizer`` loads.

    Each character is a token, ids 4 and up in the order of ``characters``; decoding joins the
    characters without spaces. It is a byte-level BPE without merges, because for a Qwen2 folder
    ``AutoTokenizer`` (transformers 5) rebuilds exactly that pipeline from the stored vocabulary
    and ignores any other one, silently. Characters outside the alphabet are dropped, as there.
    """
    symbols = [PAD, BOS, EOS, UNKNOWN, *characters.replace(" ", SPACE)]
    tokenizer = Tokenizer(models.BPE({symbol: k for k, symbol in enumerate(symbols)}, []))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=EOS,
        unk_token=UNKNOWN,
        clean_up_tokenization_spaces=False,
        padding_side="left",
        model_max_length=256,
    )
