"""Kernels are counted to the part that they belong to."""

from types import SimpleNamespace

import pytest

from alexnet.benchmark.measure import OTHER, _part


def event(*names: str) -> SimpleNamespace | None:
    """A kernel, what called it, and so on."""
    return SimpleNamespace(name=names[0], cpu_parent=event(*names[1:])) if names else None


@pytest.mark.parametrize(
    ("names", "part"),
    [
        (["nvjet_hsh_128x256_64x4_1x2_h_bz_coopA_TNT"], "fully connected"),  # cuBLAS on Hopper
        (["ampere_bf16_s16816gemm_bf16_128x64_ldg8_f2f_nn"], "fully connected"),
        (
            [
                "void at::native::(anonymous namespace)::multi_tensor_apply_kernel<at::native::"
                "FusedSgdMathFunctor<float, 3>>"
            ],
            "update",
        ),
        (["aten::_fused_sgd_"], "update"),
        (["Optimizer.step#PaperSGD.step"], "update"),
        (["sm90_xmma_wgrad_implicit_gemm_bf16"], "convolutions, backward"),
        (["aten::add", "aten::convolution_backward"], "convolutions, backward"),
        (["triton_poi_fused_relu_0"], "compiled"),
        (["sm90_xmma_fprop_implicit_gemm_bf16bf16_bf16f32_f32_nhwckrsc_nhwc"], "convolutions, forward"),
        (["void cudnn::cnn::conv2d_grouped_direct_kernel<__nv_bfloat16>"], "convolutions, forward"),
        (["void implicit_convolve_sgemm<float, float, 128>"], "convolutions, forward"),
        (["void cudnn::cnn::dgrad2d_grouped_direct_kernel<__nv_bfloat16>"], "convolutions, backward"),
        (["void cublasLt::splitKreduce_kernel<32, 16, int, float>"], "fully connected"),
        (["void at::native::(anonymous namespace)::softmax_warp_forward<float>"], "loss"),
        (["void cudnn::engines_precompiled::nchwToNhwcKernel<__half>"], "casts and copies"),
        (  # as an H200 names it, mangled and cut
            [
                "_ZN17cutlass__5x_cudnn6KernelINS_4conv6kernel23ImplicitGemmConvolutionINS1_11threadblock22"
                "ImplicitGemmMultistageINS_4gemm9GemmShapeILi128ELi128ELi32EEENS4_52Conv2dWgradOutputGradient"
            ],
            "convolutions, backward",
        ),
        (["void nhwcAddPaddingKernel<__nv_bfloat16, __nv_bfloat16, float, true>"], "casts and copies"),
        (["void tensorTransformGeneric<__nv_bfloat16, __nv_bfloat16, float, true>"], "casts and copies"),
        (["void nhwcSliceCKernel<__nv_bfloat16, __nv_bfloat16, float, true>"], "casts and copies"),
        (["Memcpy HtoD (Pinned -> Device)"], "casts and copies"),
        (
            ["void at::native::unrolled_elementwise_kernel<at::native::direct_copy_kernel_cuda"],
            "casts and copies",
        ),
        (["Memset (Device)"], OTHER),
    ],
)
def test_part(names: list[str], part: str) -> None:
    assert _part(event(*names), "compiled") == part
