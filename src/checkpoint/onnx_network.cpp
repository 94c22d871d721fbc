// Models in ONNX's format as networks of this program: the walk over the graph.
#include "checkpoint/onnx_network.hpp"

#include <fmt/format.h>

#include <climits>
#include <map>
#include <set>

#include "checkpoint/onnx_constants.hpp"
#include "checkpoint/onnx_operators.hpp"
#include "checkpoint/onnx_proto.hpp"
#include "smoothcert/error.hpp"
#include "util/printable.hpp"

namespace smoothcert {
namespace {

class Importer {
 public:
  Importer(const onnx::ModelProto& model, const std::string& where,
           const std::filesystem::path& folder)
      : model_(model), graph_(model.graph()), where_(where), folder_{.path = folder} {}

  Network run(std::vector<std::string>& notes) {
    find_opset();
    if (graph_.output_size() == 0) throw Error(where_ + ": its graph has no output");
    if (graph_.sparse_initializer_size() > 0)
      throw Error(where_ + ": its graph holds sparse weights, which are not supported");
    mark_needed();
    read_initializers();
    OnnxBuilder builder = start();
    for (const auto& proto : graph_.node())
      if (needed_node(proto)) apply(proto, builder);
    Network net = finish(builder);
    notes.push_back(fmt::format("{}: ONNX (IR {}, opset {}), {} layers, input {}×{}×{}, {} classes",
                                where_, model_.ir_version(), opset_, net.spec.layers.size(),
                                net.spec.input.channels, net.spec.input.height,
                                net.spec.input.width, net.spec.classes));
    if (graph_.output_size() > 1)
      notes.push_back(fmt::format("{}: its first output of {}, '{}', is taken for the logits",
                                  where_, graph_.output_size(), printable(output())));
    return net;
  }

 private:
  static bool default_domain(const std::string& domain) {
    return domain.empty() || domain == "ai.onnx";
  }
  [[nodiscard]] const std::string& output() const { return graph_.output(0).name(); }

  void find_opset() {
    for (const auto& import : model_.opset_import())
      if (default_domain(import.domain())) opset_ = import.version();
    if (opset_ < 11)
      throw Error(fmt::format(
          "{}: its operators are of ONNX opset {}; 11 and newer are read, export it again", where_,
          opset_));
  }

  /// The nodes that the output depends on, and how often each value is read.
  void mark_needed() {
    std::map<std::string, const onnx::NodeProto*> writer;
    for (const auto& node : graph_.node())
      for (const auto& name : node.output())
        if (!name.empty()) writer[name] = &node;
    std::vector<std::string> todo{output()};
    ++reads_[output()];
    while (!todo.empty()) {
      const auto found = writer.find(todo.back());
      todo.pop_back();
      if (found == writer.end() || !needed_.insert(found->second).second) continue;
      for (const auto& name : found->second->input())
        if (!name.empty()) {
          ++reads_[name];
          todo.push_back(name);
        }
    }
  }
  [[nodiscard]] bool needed_node(const onnx::NodeProto& node) const {
    return needed_.contains(&node);
  }

  void read_initializers() {
    for (const auto& tensor : graph_.initializer()) {
      if (!reads_.contains(tensor.name())) continue;
      values_[tensor.name()] =
          read_onnx_tensor(tensor, folder_, where_ + ": tensor '" + printable(tensor.name()) + "'");
      parameters_ += std::get<OnnxTensor>(values_[tensor.name()]).size();
    }
    room_ = (std::size_t{1} << 25) + 4 * parameters_;
  }

  /// The only input that is no weight.
  OnnxBuilder start() {
    const onnx::ValueInfoProto* image = nullptr;
    for (const auto& input : graph_.input()) {
      if (values_.contains(input.name())) continue;
      if (image != nullptr && reads_.contains(input.name()))
        throw Error(fmt::format("{}: has several inputs, '{}' and '{}'; one image is expected",
                                where_, printable(image->name()), printable(input.name())));
      if (image == nullptr || reads_.contains(input.name())) image = &input;
    }
    if (image == nullptr) throw Error(where_ + ": its graph has no input");
    const auto& type = image->type().tensor_type();
    if (type.elem_type() != onnx::TensorProto::FLOAT)
      throw Error(where_ + ": its input '" + printable(image->name()) +
                  "' is not of float32; export the model in float32");
    OnnxActivation x;
    for (int i = 1; i < type.shape().dim_size(); ++i) {
      const auto& dim = type.shape().dim(i);
      if (!dim.has_dim_value() || dim.dim_value() < 1 || dim.dim_value() > 65536)
        throw Error(fmt::format(
            "{}: extent {} of its input '{}' is not fixed; export the model with a fixed image "
            "size (the batch may be free)",
            where_, i + 1, printable(image->name())));
      x.dims.push_back(dim.dim_value());
    }
    if (x.dims.empty() || x.dims.size() > 3)
      throw Error(where_ + ": its input '" + printable(image->name()) +
                  "' is no batch of images, N × channels × rows × columns");
    ImageShape shape{static_cast<int>(x.dims[0]), 1, 1};
    if (x.dims.size() > 1) shape.height = static_cast<int>(x.dims[1]);
    if (x.dims.size() > 2) shape.width = static_cast<int>(x.dims[2]);
    values_[image->name()] = x;
    std::string name = printable(std::filesystem::path(where_).stem().string());
    try {
      return {name.empty() ? "onnx" : name, shape, (std::size_t{1} << 26) + 4 * parameters_};
    } catch (const UsageError& e) {
      throw Error(where_ + ": " + e.what());
    }
  }

  void apply(const onnx::NodeProto& proto, OnnxBuilder& builder) {
    const OnnxNode node(proto, where_, opset_);
    if (!default_domain(proto.domain()))
      node.fail("an operator of domain '" + printable(proto.domain()) + "' is not supported");
    std::vector<const OnnxValue*> in;
    std::vector<bool> alone;
    std::vector<const OnnxTensor*> constants;
    static const OnnxValue left_out;
    bool known = true;
    for (const auto& name : proto.input()) {
      const auto found = values_.find(name);
      if (!name.empty() && found == values_.end())
        node.fail("its input '" + printable(name) + "' is not computed before it");
      in.push_back(name.empty() ? &left_out : &found->second);
      const auto* x = std::get_if<OnnxActivation>(in.back());
      known = known && x == nullptr;
      alone.push_back(reads_[name] == 1 && (x == nullptr || !x->shared));
      constants.push_back(std::get_if<OnnxTensor>(in.back()));
    }
    std::vector<OnnxValue> out;
    if (known) {
      auto folded = fold_onnx_node(node, constants, folder_);
      if (!folded) node.fail("this operator is not supported on constants");
      if ((room_ -= std::min(room_, folded->size())) == 0) node.fail("its constants are too large");
      out.push_back(std::move(*folded));
    } else {
      const OnnxContext context{builder, node, in, alone};
      out = apply_onnx_node(context);
      share(in, alone, out);
    }
    for (std::size_t i = 0; i < out.size() && i < static_cast<std::size_t>(proto.output_size());
         ++i)
      if (!proto.output(static_cast<int>(i)).empty())
        values_[proto.output(static_cast<int>(i))] = std::move(out[i]);
  }

  /// An output that is an input's layer under another name is not alone where the input is not.
  static void share(const std::vector<const OnnxValue*>& in, const std::vector<bool>& alone,
                    std::vector<OnnxValue>& out) {
    for (OnnxValue& value : out) {
      auto* y = std::get_if<OnnxActivation>(&value);
      if (y == nullptr) continue;
      y->shared = false;
      for (std::size_t i = 0; i < in.size(); ++i)
        if (const auto* x = std::get_if<OnnxActivation>(in[i]);
            x != nullptr && x->layer == y->layer)
          y->shared = y->shared || !alone[i];
    }
  }

  Network finish(OnnxBuilder& builder) {
    onnx::NodeProto end;
    end.set_op_type("output");
    end.set_name(output());
    const OnnxNode node(end, where_, opset_);
    const auto found = values_.find(output());
    if (found == values_.end()) node.fail("is not computed");
    const auto* x = std::get_if<OnnxActivation>(&found->second);
    if (x == nullptr) node.fail("does not depend on the image");
    const ActivationShape shape = onnx_shape(node, x->dims);
    if (shape.height != 1 || shape.width != 1 || shape.channels < 2)
      node.fail(
          fmt::format("gives {}×{}×{} values for each image, not the logits of two classes "
                      "or more",
                      shape.channels, shape.height, shape.width));
    Network net = builder.finish(node, *x);
    try {
      infer_shapes(net.spec);
    } catch (const UsageError& e) {
      throw Error(where_ + ": " + e.what());
    }
    validate(net, where_);
    return net;
  }

  const onnx::ModelProto& model_;
  const onnx::GraphProto& graph_;
  const std::string& where_;
  OnnxFolder folder_;
  std::int64_t opset_ = 0;
  std::set<const onnx::NodeProto*> needed_;
  std::map<std::string, int> reads_;
  std::map<std::string, OnnxValue> values_;
  std::size_t parameters_ = 0;
  std::size_t room_ = 0;  ///< elements that folded constants may take
};

}  // namespace

Network onnx_network(std::span<const std::uint8_t> bytes, const std::string& where,
                     const std::filesystem::path& folder, std::vector<std::string>& notes) {
  onnx::ModelProto model;
  if (bytes.size() > static_cast<std::size_t>(INT_MAX))
    throw Error(where + ": is larger than ONNX's format allows (2 GiB)");
  if (!model.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    throw Error(where + ": is a damaged ONNX model");
  return Importer(model, where, folder).run(notes);
}

}  // namespace smoothcert
