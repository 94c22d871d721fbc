// One node of an ONNX graph as the importer reads it: attributes with defaults, refusals that name
// it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/onnx_proto.hpp"

namespace smoothcert {

class OnnxNode {
 public:
  OnnxNode(const onnx::NodeProto& proto, std::string where, std::int64_t opset)
      : proto_(&proto), where_(std::move(where)), opset_(opset) {}

  [[nodiscard]] const std::string& op() const { return proto_->op_type(); }
  [[nodiscard]] std::int64_t opset() const { return opset_; }
  [[nodiscard]] const onnx::NodeProto& proto() const { return *proto_; }
  [[nodiscard]] int inputs() const { return proto_->input_size(); }
  /// "" where the input is left out.
  [[nodiscard]] const std::string& input(int i) const;
  [[nodiscard]] bool has_input(int i) const { return i < inputs() && !proto_->input(i).empty(); }

  /// "FILE: node 'conv_1' (Conv): problem".
  [[noreturn]] void fail(const std::string& problem) const;

  [[nodiscard]] const onnx::AttributeProto* attribute(const char* name) const;
  [[nodiscard]] std::int64_t integer(const char* name, std::int64_t otherwise) const;
  [[nodiscard]] double number(const char* name, double otherwise) const;
  [[nodiscard]] std::string text(const char* name, const char* otherwise) const;
  /// Empty where there is none.
  [[nodiscard]] std::vector<std::int64_t> integers(const char* name) const;

 private:
  const onnx::NodeProto* proto_;
  std::string where_;
  std::int64_t opset_;
};

}  // namespace smoothcert
