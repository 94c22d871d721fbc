// The classes of ONNX's format, as Debian's library was built.
#pragma once

#if !defined(ONNX_ML)
#define ONNX_ML 1
#endif
#if !defined(ONNX_NAMESPACE)
#define ONNX_NAMESPACE onnx
#endif
#include <onnx/onnx_pb.h>
