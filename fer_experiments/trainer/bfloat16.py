"""Whether a device computes faster in bfloat16 than in float32."""

import torch


def has_fast_bfloat16(device: str) -> bool:
    """Return whether the devices of this type ("cuda", "mps" or "cpu") have arithmetic for bfloat16.

    A processor needs AVX-512 BF16 or AMX. With AVX2 alone a step in bfloat16 takes 20 times as long as in float32.
    """
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device == "cpu" and (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
