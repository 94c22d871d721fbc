// The stack machine of Lib/pickletools.py; opcodes that would make an object make a note of it.
#include "checkpoint/pickle.hpp"

#include <fmt/format.h>

#include <bit>
#include <unordered_map>
#include <utility>

#include "checkpoint/pickle_globals.hpp"
#include "smoothcert/error.hpp"
#include "util/printable.hpp"

namespace smoothcert {
namespace {

using Kind = PickleValue::Kind;

// A checkpoint of a thousand tensors has some twenty thousand values.
constexpr std::size_t kMostValues = 1'000'000, kMostCopiedItems = 4'000'000;
constexpr std::size_t kMostNameLength = 256;

class Machine {
 public:
  Machine(std::span<const std::uint8_t> bytes, const std::string& where)
      : bytes_(bytes), where_(where) {}

  Pickle run() {
    while (!stopped_) step(byte());
    pickle_.size = at_;
    return std::move(pickle_);
  }

 private:
  [[noreturn]] void damaged(const std::string& what) const {
    throw Error(fmt::format("{}: damaged pickle at byte {}: {}", where_, at_, what));
  }
  [[noreturn]] void refuse(const std::string& name) const { refuse_opaque(name, where_); }

  // --- input
  std::uint8_t byte() { return take(1)[0]; }
  std::span<const std::uint8_t> take(std::uint64_t count) {
    if (count > bytes_.size() - at_) damaged("it is cut short");
    const auto taken = bytes_.subspan(at_, count);
    at_ += count;
    return taken;
  }
  std::uint64_t number(int width) {
    const auto taken = take(static_cast<std::uint64_t>(width));
    std::uint64_t value = 0;
    for (int i = width - 1; i >= 0; --i) value = value << 8 | taken[static_cast<std::size_t>(i)];
    return value;
  }
  std::string text(std::uint64_t size) {
    const auto taken = take(size);
    return {taken.begin(), taken.end()};
  }
  std::string line() {
    std::string name;
    for (std::uint8_t c = byte(); c != '\n'; c = byte()) {
      name += static_cast<char>(c);
      if (name.size() > kMostNameLength) damaged("a name without an end");
    }
    return name;
  }

  // --- stack
  void push(ValueId id) { stack_.push_back(id); }
  ValueId make(PickleValue value) {
    // A few bytes can copy a list that was built once: what they copy is bounded as well.
    copied_items_ += value.items.size();
    if (pickle_.values.size() == kMostValues || copied_items_ > kMostCopiedItems)
      damaged("it holds too many values");
    pickle_.values.push_back(std::move(value));
    return static_cast<ValueId>(pickle_.values.size() - 1);
  }
  void push_new(Kind kind, std::int64_t integer = 0) {
    PickleValue value;
    value.kind = kind;
    value.integer = integer;
    push(make(std::move(value)));
  }
  void push_text(Kind kind, std::string text) {
    PickleValue value;
    value.kind = kind;
    value.text = std::move(text);
    push(make(std::move(value)));
  }
  std::size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }
  ValueId pop() {
    if (stack_.size() <= floor()) damaged("an operation finds too few values");
    const ValueId id = stack_.back();
    stack_.pop_back();
    return id;
  }
  PickleValue& top() {
    if (stack_.size() <= floor()) damaged("an operation finds too few values");
    return pickle_.values[stack_.back()];
  }
  std::vector<ValueId> pop_to_mark() {
    if (marks_.empty()) damaged("a mark is missing");
    const auto begin = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
    std::vector<ValueId> values(begin, stack_.end());
    stack_.erase(begin, stack_.end());
    marks_.pop_back();
    return values;
  }
  void push_items(Kind kind, std::vector<ValueId> items) {
    PickleValue value;
    value.kind = kind;
    value.items = std::move(items);
    push(make(std::move(value)));
  }
  void push_tuple(int count) {
    std::vector<ValueId> items(static_cast<std::size_t>(count));
    for (auto item = items.rbegin(); item != items.rend(); ++item) *item = pop();
    push_items(Kind::tuple, std::move(items));
  }

  // --- memo
  void remember(std::uint64_t key) {
    top();
    memo_[key] = stack_.back();
  }
  void recall(std::uint64_t key) {
    const auto found = memo_.find(key);
    if (found == memo_.end()) damaged(fmt::format("memo {} was never filled", key));
    push(found->second);
  }

  // --- operations
  void integer(std::span<const std::uint8_t> little_endian) {
    if (little_endian.size() > 8) return push_new(Kind::big_integer);
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < little_endian.size(); ++i)
      value |= std::uint64_t{little_endian[i]} << (8 * i);
    const std::size_t bits = 8 * little_endian.size();
    if (bits > 0 && bits < 64 && (value >> (bits - 1) & 1) != 0) value |= ~std::uint64_t{0} << bits;
    push_new(Kind::integer, static_cast<std::int64_t>(value));
  }
  void real(std::uint64_t big_endian) {
    std::uint64_t bits = 0;
    for (int i = 0; i < 8; ++i) bits = bits << 8 | (big_endian >> (8 * i) & 0xff);
    PickleValue value;
    value.kind = Kind::real;
    value.real = std::bit_cast<double>(bits);
    push(make(std::move(value)));
  }
  void append(const std::vector<ValueId>& items) {
    PickleValue& list = top();
    if (list.kind == Kind::opaque) return;
    if (list.kind != Kind::list) damaged("only a list can be appended to");
    list.items.insert(list.items.end(), items.begin(), items.end());
  }
  void set_items(const std::vector<ValueId>& items) {
    PickleValue& dict = top();
    if (dict.kind == Kind::opaque) return;
    if (dict.kind != Kind::dict || items.size() % 2 != 0) damaged("only a dict can be filled");
    dict.items.insert(dict.items.end(), items.begin(), items.end());
  }
  void global(const std::string& module, const std::string& name) {
    const std::string full = module + "." + name;
    push_text(is_known_global(full) ? Kind::global : Kind::opaque, full);
  }
  /// What a class would make, known by the class alone.
  void push_object(ValueId type, const char* how) {
    const PickleValue& value = pickle_.at(type);
    if (value.kind == Kind::opaque) return push_text(Kind::opaque, value.text);
    push_text(Kind::opaque,
              "an object of " + (value.kind == Kind::global ? value.text : "a class") + how);
  }
  void reduce() {
    const PickleValue& arguments = pickle_.at(pop());
    const PickleValue& callable = pickle_.at(pop());
    if (callable.kind == Kind::opaque) return push_text(Kind::opaque, callable.text);
    if (callable.kind != Kind::global) refuse("a call of something that is no function");
    auto result = call_global(pickle_, callable.text, arguments);
    if (!result) damaged(callable.text + " gets arguments that do not fit it");
    push(make(std::move(*result)));
  }
  void build() {
    const ValueId state = pop();  // attributes, such as a state dict's _metadata: nothing we need
    if (top().kind == Kind::array || top().kind == Kind::dtype) {
      if (!set_numpy_state(pickle_, top(), state)) {  // of times, of objects: nobody needs them
        PickleValue other;
        other.kind = Kind::opaque;
        other.text = top().kind == Kind::array ? "numpy.ndarray" : "numpy.dtype";
        top() = std::move(other);
      }
      return;
    }
    if (top().kind != Kind::dict && top().kind != Kind::opaque)
      refuse("setting attributes of an object");
  }
  void persistent() {
    auto storage = persistent_storage(pickle_, pickle_.at(pop()));
    if (!storage) damaged("a reference that names no storage");
    push(make(std::move(*storage)));
  }
  void stack_global() {
    const PickleValue& name = pickle_.at(pop());
    const PickleValue& module = pickle_.at(pop());
    if (name.kind != Kind::text || module.kind != Kind::text) damaged("a global without a name");
    global(module.text, name.text);
  }
  void stop() {
    pickle_.root = pop();
    if (!stack_.empty() || !marks_.empty()) damaged("values are left over");
    stopped_ = true;
  }

  void step(std::uint8_t opcode);
  [[noreturn]] void unknown(std::uint8_t opcode);

  std::span<const std::uint8_t> bytes_;
  const std::string& where_;
  std::size_t at_ = 0;
  Pickle pickle_;
  std::vector<ValueId> stack_;
  std::vector<std::size_t> marks_;
  std::unordered_map<std::uint64_t, ValueId> memo_;
  std::size_t copied_items_ = 0;
  bool stopped_ = false;
};

// clang-format off
void Machine::step(std::uint8_t opcode) {
  switch (opcode) {
    case 0x80: {  // PROTO
      if (const auto version = byte(); version < 1 || version > 5)
        damaged(fmt::format("protocol {}", version));
      return;
    }
    case 0x95: take(8); return;                                       // FRAME
    case '.': return stop();                                          // STOP
    case '(': marks_.push_back(stack_.size()); return;                // MARK
    case '0': pop(); return;                                          // POP
    case '1': pop_to_mark(); return;                                  // POP_MARK
    case '2': top(); return push(stack_.back());                      // DUP
    case 'N': return push_new(Kind::none);                            // NONE
    case 0x88: return push_new(Kind::boolean, 1);                     // NEWTRUE
    case 0x89: return push_new(Kind::boolean, 0);                     // NEWFALSE
    case 'J': return integer(take(4));                                // BININT
    case 'K': return push_new(Kind::integer, byte());                 // BININT1
    case 'M':                                                         // BININT2
      return push_new(Kind::integer, static_cast<std::int64_t>(number(2)));
    case 0x8a: return integer(take(byte()));                          // LONG1
    case 0x8b: return integer(take(number(4)));                       // LONG4
    case 'G': return real(number(8));                                 // BINFLOAT
    case 'X': return push_text(Kind::text, text(number(4)));          // BINUNICODE
    case 0x8c: return push_text(Kind::text, text(number(1)));         // SHORT_BINUNICODE
    case 0x8d: return push_text(Kind::text, text(number(8)));         // BINUNICODE8
    case 'T': return push_text(Kind::text, text(number(4)));          // BINSTRING
    case 'U': return push_text(Kind::text, text(number(1)));          // SHORT_BINSTRING
    case 'B': return push_text(Kind::bytes, text(number(4)));         // BINBYTES
    case 'C': return push_text(Kind::bytes, text(number(1)));         // SHORT_BINBYTES
    case 0x8e: return push_text(Kind::bytes, text(number(8)));        // BINBYTES8
    case ']': return push_new(Kind::list);                            // EMPTY_LIST
    case 'l': return push_items(Kind::list, pop_to_mark());           // LIST
    case 'a': { const ValueId item = pop(); return append({item}); }  // APPEND
    case 'e': return append(pop_to_mark());                           // APPENDS
    case ')': return push_new(Kind::tuple);                           // EMPTY_TUPLE
    case 't': return push_items(Kind::tuple, pop_to_mark());          // TUPLE
    case 0x85: return push_tuple(1);                                  // TUPLE1
    case 0x86: return push_tuple(2);                                  // TUPLE2
    case 0x87: return push_tuple(3);                                  // TUPLE3
    case '}': return push_new(Kind::dict);                            // EMPTY_DICT
    case 's': {                                                       // SETITEM
      const ValueId value = pop(), key = pop();
      return set_items({key, value});
    }
    case 'u': return set_items(pop_to_mark());                        // SETITEMS
    case 'q': return remember(number(1));                             // BINPUT
    case 'r': return remember(number(4));                             // LONG_BINPUT
    case 0x94: return remember(memo_.size());                         // MEMOIZE
    case 'h': return recall(number(1));                               // BINGET
    case 'j': return recall(number(4));                               // LONG_BINGET
    case 'c': {                                                       // GLOBAL
      const std::string module = line();
      return global(module, line());
    }
    case 0x93: return stack_global();                                 // STACK_GLOBAL
    case 'i': {                                                       // INST
      const std::string module = line();
      const std::string name = line();
      pop_to_mark();
      return push_text(Kind::opaque, module + "." + name);
    }
    case 'o': {                                                       // OBJ
      const auto items = pop_to_mark();
      if (items.empty()) damaged("an object of no class");
      return push_object(items.front(), " (OBJ)");
    }
    case 0x81: pop(); return push_object(pop(), "");                  // NEWOBJ
    case 0x92: pop(); pop(); return push_object(pop(), "");           // NEWOBJ_EX
    case 0x8f: return push_text(Kind::opaque, "a set");               // EMPTY_SET
    case 0x90: pop_to_mark(); top(); return;                          // ADDITEMS
    case 0x91: pop_to_mark(); return push_text(Kind::opaque, "a set");  // FROZENSET
    case 'R': return reduce();                                        // REDUCE
    case 'b': return build();                                         // BUILD
    case 'Q': return persistent();                                    // BINPERSID
    default: unknown(opcode);
  }
}
// clang-format on

/// The extension registry and objects by name are refused as such, all others by number.
void Machine::unknown(std::uint8_t opcode) {
  if (opcode >= 0x82 && opcode <= 0x84) refuse("the extension registry (EXT)");
  if (opcode == 'P') refuse("a persistent object by name (PERSID)");
  throw Error(fmt::format(
      "{}: its pickle uses operation 0x{:02x}, which torch.save() of a state dict does not; save "
      "the state dict alone with a recent PyTorch",
      where_, opcode));
}

}  // namespace

const PickleValue* Pickle::find(const PickleValue& dict, std::string_view key) const {
  if (dict.kind != Kind::dict) return nullptr;
  const PickleValue* found = nullptr;
  for (std::size_t i = 0; i + 1 < dict.items.size(); i += 2) {
    const PickleValue& name = at(dict.items[i]);
    if (name.kind == Kind::text && name.text == key) found = &at(dict.items[i + 1]);
  }
  return found;
}

void refuse_opaque(const std::string& what, const std::string& where) {
  throw Error(fmt::format(
      "{}: its pickle asks for {}, which is more than data; nothing of it was run. Save the state "
      "dict alone: torch.save(model.state_dict(), FILE)",
      where, printable(what)));
}

Pickle parse_pickle(std::span<const std::uint8_t> bytes, const std::string& where) {
  return Machine(bytes, where).run();
}

}  // namespace smoothcert
