// One node of an ONNX graph as the importer reads it.
#include "checkpoint/onnx_node.hpp"

#include "smoothcert/error.hpp"
#include "util/printable.hpp"

namespace smoothcert {

const std::string& OnnxNode::input(int i) const {
  static const std::string none;
  return i < inputs() ? proto_->input(i) : none;
}

void OnnxNode::fail(const std::string& problem) const {
  std::string name = proto_->name();
  if (name.empty() && proto_->output_size() > 0) name = proto_->output(0);
  throw Error(where_ + ": node '" + printable(name) + "' (" + printable(op()) + "): " + problem);
}

const onnx::AttributeProto* OnnxNode::attribute(const char* name) const {
  for (const auto& a : proto_->attribute())
    if (a.name() == name) return &a;
  return nullptr;
}

std::int64_t OnnxNode::integer(const char* name, std::int64_t otherwise) const {
  const auto* a = attribute(name);
  return a == nullptr ? otherwise : a->i();
}
double OnnxNode::number(const char* name, double otherwise) const {
  const auto* a = attribute(name);
  return a == nullptr ? otherwise : double{a->f()};
}
std::string OnnxNode::text(const char* name, const char* otherwise) const {
  const auto* a = attribute(name);
  return a == nullptr ? otherwise : a->s();
}
std::vector<std::int64_t> OnnxNode::integers(const char* name) const {
  const auto* a = attribute(name);
  if (a == nullptr) return {};
  return {a->ints().begin(), a->ints().end()};
}

}  // namespace smoothcert
