#include "CSimdJSON.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>
#include <string_view>
#include <utility>
#include <vector>

#include <simdjson.h>

namespace ondemand = simdjson::ondemand;

namespace {

// Offsets are 32 bits wide; a request body is limited to a few megabytes long before this.
constexpr size_t length_limit = size_t(1) << 30;

bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string_view trimmed(std::string_view token) {
    while (!token.empty() && is_space(token.back())) token.remove_suffix(1);
    return token;
}

// What a scan of a number's text says, before any conversion.
struct NumberShape {
    bool valid = false;
    // True when there is no exponent and every digit of the fraction is zero.
    bool integral = false;
    std::string_view digits;
    bool negative = false;
};

// Checks the grammar of RFC 8259 section 6. simdjson reports a number that is out of range and one that is malformed by
// the same error, and the first must not be fatal: an upstream that writes 1e400 has still written JSON.
NumberShape shape_of(std::string_view text) {
    NumberShape shape;
    size_t at = 0;
    const size_t size = text.size();
    if (at < size && text[at] == '-') {
        shape.negative = true;
        at++;
    }
    const size_t first = at;
    while (at < size && is_digit(text[at])) at++;
    shape.digits = text.substr(first, at - first);
    if (shape.digits.empty() || (shape.digits.size() > 1 && shape.digits[0] == '0')) return shape;
    shape.integral = true;
    if (at < size && text[at] == '.') {
        const size_t fraction = ++at;
        while (at < size && is_digit(text[at])) {
            if (text[at] != '0') shape.integral = false;
            at++;
        }
        if (at == fraction) return shape;
    }
    if (at < size && (text[at] == 'e' || text[at] == 'E')) {
        shape.integral = false;
        at++;
        if (at < size && (text[at] == '+' || text[at] == '-')) at++;
        const size_t exponent = at;
        while (at < size && is_digit(text[at])) at++;
        if (at == exponent) return shape;
    }
    shape.valid = at == size;
    return shape;
}

// Converts digits to a signed 64-bit number; false when they do not fit.
bool integer_of(const NumberShape &shape, int64_t &result) {
    if (shape.digits.size() > 19) return false;
    uint64_t magnitude = 0;
    for (char c : shape.digits) magnitude = magnitude * 10 + uint64_t(c - '0');
    if (magnitude > uint64_t(INT64_MAX)) return false;
    result = shape.negative ? -int64_t(magnitude) : int64_t(magnitude);
    return true;
}

}  // namespace

struct rg_json_parser {
    ondemand::parser parser;
    std::vector<uint8_t> input;
    std::vector<rg_json_node> nodes;
    size_t length = 0;
    size_t error_offset = 0;
    bool valid = false;

    int parse(const uint8_t *bytes, size_t size);

private:
    ondemand::document document;

    size_t add(std::string_view token, std::string_view key);
    int value(ondemand::value &value, int depth, std::string_view key);
    int object(ondemand::object &object, int depth, size_t index);
    int array(ondemand::array &array, int depth, size_t index);
    int scalar(ondemand::value &value, rg_json_node &node, std::string_view token);
    int literal(rg_json_node &node, int kind, std::string_view token, std::string_view expected);
    int number(ondemand::value &value, rg_json_node &node, std::string_view token);
    int string(ondemand::value &value, rg_json_node &node, std::string_view token);
    void close(size_t index, uint32_t count);
    const char *here();
    int fail(const char *where, simdjson::error_code error);
    const char *base() const { return reinterpret_cast<const char *>(input.data()); }
};

int rg_json_parser::fail(const char *where, simdjson::error_code error) {
    error_offset = where < base() ? 0 : std::min(size_t(where - base()), length);
    switch (error) {
    case simdjson::UTF8_ERROR: return RG_JSON_UTF8;
    case simdjson::DEPTH_ERROR: return RG_JSON_DEPTH;
    case simdjson::MEMALLOC: return RG_JSON_MEMORY;
    case simdjson::CAPACITY: return RG_JSON_TOO_LONG;
    default: return RG_JSON_SYNTAX;
    }
}

int rg_json_parser::parse(const uint8_t *bytes, size_t size) {
    valid = false;
    error_offset = 0;
    nodes.clear();
    if (size > length_limit) return RG_JSON_TOO_LONG;
    length = size;
    const size_t padded = size + simdjson::SIMDJSON_PADDING;
    if (input.size() < padded) input.resize(padded * 2);
    if (size > 0) std::memcpy(input.data(), bytes, size);
    // The padding is blanked because simdjson looks at it, and what an earlier document left there must not matter.
    std::memset(input.data() + size, ' ', simdjson::SIMDJSON_PADDING);
    // Growing by doubling keeps the cost of a parser that sees ever larger documents linear.
    if (parser.capacity() < size || parser.capacity() == 0) {
        auto error = parser.allocate(std::max<size_t>(size * 2, 4096));
        if (error) return fail(base(), error);
    }
    auto error = parser.iterate(input.data(), size, size + simdjson::SIMDJSON_PADDING).get(document);
    if (error) return fail(base(), error);
    // The root is asked for as what it is: only the document's own accessors check that its last token closes it.
    const std::string_view token = trimmed(document.raw_json_token().value_unsafe());
    int failure = RG_JSON_NOT_CONTAINER;
    if (token == "{") {
        ondemand::object root;
        if ((error = document.get_object().get(root))) return fail(token.data(), error);
        failure = object(root, 1, add(token, std::string_view()));
    } else if (token == "[") {
        ondemand::array root;
        if ((error = document.get_array().get(root))) return fail(token.data(), error);
        failure = array(root, 1, add(token, std::string_view()));
    }
    if (failure) return failure;
    const char *rest = nullptr;
    if (!document.current_location().get(rest)) return fail(rest, simdjson::TRAILING_CONTENT);
    valid = true;
    return RG_JSON_OK;
}

// Appends a node for the value that starts with `token` and returns its index.
size_t rg_json_parser::add(std::string_view token, std::string_view key) {
    const size_t index = nodes.size();
    rg_json_node node{};
    node.key = reinterpret_cast<const uint8_t *>(key.data());
    node.key_length = uint32_t(key.size());
    node.raw_offset = uint32_t(token.data() - base());
    node.raw_length = uint32_t(token.size());
    node.next = uint32_t(index + 1);
    node.kind = token[0] == '{' ? RG_JSON_OBJECT : RG_JSON_ARRAY;
    nodes.push_back(node);
    return index;
}

int rg_json_parser::value(ondemand::value &value, int depth, std::string_view key) {
    const std::string_view token = trimmed(value.raw_json_token());
    if (token.empty()) return fail(token.data(), simdjson::TAPE_ERROR);
    const size_t index = add(token, key);
    if (token != "{" && token != "[") return scalar(value, nodes[index], token);
    if (depth > RG_JSON_DEPTH_LIMIT) return fail(token.data(), simdjson::DEPTH_ERROR);
    if (token == "{") {
        ondemand::object inner;
        if (auto error = value.get_object().get(inner)) return fail(token.data(), error);
        return object(inner, depth, index);
    }
    ondemand::array inner;
    if (auto error = value.get_array().get(inner)) return fail(token.data(), error);
    return array(inner, depth, index);
}

int rg_json_parser::scalar(ondemand::value &value, rg_json_node &node, std::string_view token) {
    switch (token[0]) {
    case '"': return string(value, node, token);
    case 't': return literal(node, RG_JSON_TRUE, token, "true");
    case 'f': return literal(node, RG_JSON_FALSE, token, "false");
    case 'n': return literal(node, RG_JSON_NULL, token, "null");
    default: return number(value, node, token);
    }
}

int rg_json_parser::literal(rg_json_node &node, int kind, std::string_view token, std::string_view expected) {
    node.kind = uint8_t(kind);
    return token == expected ? RG_JSON_OK : fail(token.data(), simdjson::TAPE_ERROR);
}

int rg_json_parser::number(ondemand::value &value, rg_json_node &node, std::string_view token) {
    node.kind = RG_JSON_NUMBER;
    const NumberShape shape = shape_of(token);
    if (!shape.valid) return fail(token.data(), simdjson::NUMBER_ERROR);
    if (shape.integral && integer_of(shape, node.integer)) {
        node.number = double(node.integer);
        node.flags = RG_JSON_IS_INTEGER | RG_JSON_IS_FINITE;
        return RG_JSON_OK;
    }
    // The value stays unconsumed on failure; the iterator steps over it.
    if (value.get_double().get(node.number) == simdjson::SUCCESS) node.flags = RG_JSON_IS_FINITE;
    return RG_JSON_OK;
}

int rg_json_parser::string(ondemand::value &value, rg_json_node &node, std::string_view token) {
    node.kind = RG_JSON_STRING;
    if (token.size() < 2 || token.back() != '"') return fail(token.data(), simdjson::STRING_ERROR);
    std::string_view text = token.substr(1, token.size() - 2);
    // A string without an escape is used where it stands; stage 1 has already refused control characters and bad UTF-8.
    // It is consumed all the same: the iterator takes a string it has to skip for a key when a colon follows, and would
    // let {"a":"b":1} pass.
    simdjson::error_code error = simdjson::SUCCESS;
    if (std::memchr(text.data(), '\\', text.size()) == nullptr) {
        error = value.get_raw_json_string().error();
    } else {
        error = value.get_string().get(text);
    }
    if (error) return fail(token.data(), error);
    node.text = reinterpret_cast<const uint8_t *>(text.data());
    node.text_length = uint32_t(text.size());
    return RG_JSON_OK;
}

int rg_json_parser::object(ondemand::object &object, int depth, size_t index) {
    uint32_t count = 0;
    for (auto item : object) {
        ondemand::field field;
        if (auto error = std::move(item).get(field)) return fail(here(), error);
        // The key ends at the quote before the colon that stands before the value.
        const char *begin = field.key().raw();
        const char *end = field.value().raw_json_token().data() - 1;
        while (*end != ':') end--;
        while (*end != '"') end--;
        std::string_view key(begin, size_t(end - begin));
        if (std::memchr(key.data(), '\\', key.size()) != nullptr) {
            if (auto error = field.unescaped_key().get(key)) return fail(begin, error);
        }
        if (int failure = value(field.value(), depth + 1, key)) return failure;
        count++;
    }
    close(index, count);
    return RG_JSON_OK;
}

int rg_json_parser::array(ondemand::array &array, int depth, size_t index) {
    uint32_t count = 0;
    for (auto item : array) {
        ondemand::value element;
        if (auto error = std::move(item).get(element)) return fail(here(), error);
        if (int failure = value(element, depth + 1, std::string_view())) return failure;
        count++;
    }
    close(index, count);
    return RG_JSON_OK;
}

// The next token that was not read yet, or the end of the input.
const char *rg_json_parser::here() {
    const char *location = nullptr;
    return document.current_location().get(location) ? base() + length : location;
}

// Completes a container whose closing bracket was just read: only white space stands between it and the next token.
void rg_json_parser::close(size_t index, uint32_t count) {
    rg_json_node &node = nodes[index];
    const char *start = base() + node.raw_offset;
    const char *end = here();
    while (end > start && is_space(end[-1])) end--;
    node.raw_length = uint32_t(end - start);
    node.next = uint32_t(nodes.size());
    node.count = count;
}

rg_json_parser *rg_json_create(void) { return new (std::nothrow) rg_json_parser(); }

void rg_json_destroy(rg_json_parser *parser) { delete parser; }

int rg_json_parse(rg_json_parser *parser, const uint8_t *input, size_t length) {
    try {
        return parser->parse(input, length);
    } catch (const std::bad_alloc &) {
        return RG_JSON_MEMORY;
    }
}

const rg_json_node *rg_json_nodes(const rg_json_parser *parser) {
    return parser->valid ? parser->nodes.data() : nullptr;
}

const uint8_t *rg_json_input(const rg_json_parser *parser) { return parser->input.data(); }

size_t rg_json_error_offset(const rg_json_parser *parser) { return parser->error_offset; }

void rg_json_shrink(rg_json_parser *parser, size_t limit) {
    const size_t held = parser->input.capacity() + parser->nodes.capacity() * sizeof(rg_json_node);
    if (held <= limit) return;
    parser->valid = false;
    std::vector<uint8_t>().swap(parser->input);
    std::vector<rg_json_node>().swap(parser->nodes);
    parser->parser = ondemand::parser();
    parser->length = 0;
}
