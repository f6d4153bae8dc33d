// Command interop checks Evident's evidence files with an implementation that is not ours: golang.org/x/mod/sumdb/note
// and .../tlog. What those packages lack is read here from the C2SP specifications alone: cosignature lines, the
// tlog-proof and the add-checkpoint file.
//
//	interop note FILE VKEY...              every key must have a valid signature under the note; prints their names
//	interop proof FILE VKEY LINE-FILE      the tlog-proof leads from the line (without line feed) to the signed root
//	interop request FILE VKEY OLD-NOTE     the add-checkpoint request leads from the old note's tree to the new one's
//	interop tiles CHECKPOINT VKEY BUNDLE   every entry in the bundle's tiles is in the checkpoint's tree, which they make up
//
// Exit code 0 and one line when the check holds, else 1 and the reason.
package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func main() {
	said, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(said)
}

func run(args []string) (string, error) {
	if len(args) < 3 {
		return "", errors.New("usage: interop note|proof|request|tiles FILE VKEY ...")
	}
	file, err := os.ReadFile(args[1])
	if err != nil {
		return "", err
	}
	switch args[0] {
	case "note":
		_, names, err := open(file, args[2:])
		return strings.Join(names, " "), err
	case "proof":
		line, err := os.ReadFile(args[3])
		if err != nil {
			return "", err
		}
		return checkProof(string(file), args[2], line)
	case "request":
		old, err := os.ReadFile(args[3])
		if err != nil {
			return "", err
		}
		return checkRequest(string(file), args[2], old)
	case "tiles":
		return checkTiles(file, args[2], args[3])
	}
	return "", fmt.Errorf("unknown check %q", args[0])
}

// open requires a valid signature of every key, and lets note.Open reject the note for an invalid one.
func open(msg []byte, vkeys []string) (string, []string, error) {
	var verifiers []note.Verifier
	for _, vkey := range vkeys {
		v, err := newVerifier(vkey)
		if err != nil {
			return "", nil, err
		}
		verifiers = append(verifiers, v)
	}
	n, err := note.Open(msg, note.VerifierList(verifiers...))
	if err != nil {
		return "", nil, err
	}
	var names []string
	for _, v := range verifiers {
		found := false
		for _, s := range n.Sigs {
			found = found || s.Name == v.Name() && s.Hash == v.KeyHash()
		}
		if !found {
			return "", nil, fmt.Errorf("no signature of %s", v.Name())
		}
		names = append(names, v.Name())
	}
	return n.Text, names, nil
}

// newVerifier takes log keys (type 1) through x/mod and cosigner keys (type 4) through the verifier below.
func newVerifier(vkey string) (note.Verifier, error) {
	parts := strings.SplitN(vkey, "+", 3)
	if len(parts) != 3 {
		return nil, errors.New("malformed verifier key")
	}
	key, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil {
		return nil, err
	}
	if len(key) == 0 || key[0] != 4 {
		return note.NewVerifier(vkey)
	}
	if len(key) != 33 {
		return nil, errors.New("malformed cosigner key")
	}
	id := sha256.Sum256(append([]byte(parts[0]+"\n"), key...))
	if fmt.Sprintf("%x", id[:4]) != parts[1] {
		return nil, errors.New("key id of the cosigner key is not its own")
	}
	return cosigner{parts[0], binary.BigEndian.Uint32(id[:]), key[1:]}, nil
}

type cosigner struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

func (c cosigner) Name() string    { return c.name }
func (c cosigner) KeyHash() uint32 { return c.hash }
func (c cosigner) Verify(msg, sig []byte) bool {
	if len(sig) != 8+ed25519.SignatureSize {
		return false
	}
	signed := fmt.Sprintf("cosignature/v1\ntime %d\n%s", binary.BigEndian.Uint64(sig), msg)
	return ed25519.Verify(c.key, []byte(signed), sig[8:])
}

// checkpoint opens a note of the log and returns the tree in it.
func checkpoint(msg []byte, vkey string) (tlog.Tree, error) {
	text, _, err := open(msg, []string{vkey})
	if err != nil {
		return tlog.Tree{}, err
	}
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[0] != strings.SplitN(vkey, "+", 2)[0] {
		return tlog.Tree{}, errors.New("not a checkpoint of that log")
	}
	n, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, err
	}
	hash, err := tlog.ParseHash(lines[2])
	return tlog.Tree{N: n, Hash: hash}, err
}

// hashes reads lines up to the blank one.
func hashes(rest string) ([]tlog.Hash, string, error) {
	var list []tlog.Hash
	for {
		line, after, ok := strings.Cut(rest, "\n")
		if !ok {
			return nil, "", errors.New("no blank line")
		}
		rest = after
		if line == "" {
			return list, rest, nil
		}
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return nil, "", err
		}
		list = append(list, hash)
	}
}

func number(text, word string) (int64, string, error) {
	line, rest, ok := strings.Cut(text, "\n")
	if !ok || !strings.HasPrefix(line, word+" ") {
		return 0, "", fmt.Errorf("no line %q", word)
	}
	n, err := strconv.ParseInt(line[len(word)+1:], 10, 64)
	return n, rest, err
}

func checkProof(file, vkey string, line []byte) (string, error) {
	const head = "c2sp.org/tlog-proof@v1\n"
	if !strings.HasPrefix(file, head) {
		return "", errors.New("no tlog-proof")
	}
	index, rest, err := number(file[len(head):], "index")
	if err != nil {
		return "", err
	}
	path, msg, err := hashes(rest)
	if err != nil {
		return "", err
	}
	tree, err := checkpoint([]byte(msg), vkey)
	if err != nil {
		return "", err
	}
	if err := tlog.CheckRecord(path, tree.N, tree.Hash, index, tlog.RecordHash(line)); err != nil {
		return "", err
	}
	return fmt.Sprintf("entry %d is in the tree of size %d", index, tree.N), nil
}

func checkRequest(file, vkey string, oldNote []byte) (string, error) {
	size, rest, err := number(file, "old")
	if err != nil {
		return "", err
	}
	path, msg, err := hashes(rest)
	if err != nil {
		return "", err
	}
	tree, err := checkpoint([]byte(msg), vkey)
	if err != nil {
		return "", err
	}
	old, err := checkpoint(oldNote, vkey)
	if err != nil {
		return "", err
	}
	if old.N != size {
		return "", fmt.Errorf("the old note is of size %d, the request's of %d", old.N, size)
	}
	if err := tlog.CheckTree(path, tree.N, tree.Hash, old.N, old.Hash); err != nil {
		return "", err
	}
	return fmt.Sprintf("size %d extends size %d", tree.N, old.N), nil
}

// tiles reads C2SP tlog-tiles of height 8 below a directory; tlog.TileHashReader checks each of them against the tree.
type tiles string

func (t tiles) Height() int { return 8 }

func (t tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	var list [][]byte
	for _, tile := range wanted {
		// x/mod names a tile tile/8/0/001, C2SP tile/0/001.
		data, err := os.ReadFile(filepath.Join(string(t), strings.Replace(tile.Path(), "tile/8/", "tile/", 1)))
		if err != nil {
			return nil, err
		}
		list = append(list, data)
	}
	return list, nil
}

func (t tiles) SaveTiles([]tlog.Tile, [][]byte) {}

func checkTiles(msg []byte, vkey, dir string) (string, error) {
	tree, err := checkpoint(msg, vkey)
	if err != nil {
		return "", err
	}
	reader := tlog.TileHashReader(tree, tiles(dir))
	root, err := tlog.TreeHash(tree.N, reader)
	if err != nil {
		return "", err
	}
	if root != tree.Hash {
		return "", errors.New("the tiles have another root than the checkpoint")
	}
	for first := int64(0); first < tree.N; first += 256 {
		tile := tlog.Tile{H: 8, L: 0, N: first / 256, W: int(width(tree.N - first))}
		data, err := os.ReadFile(filepath.Join(dir, strings.Replace(tile.Path(), "tile/8/0/", "tile/entries/", 1)))
		if err != nil {
			return "", err
		}
		for i := first; i < first+int64(tile.W); i++ {
			if len(data) < 2 || len(data) < 2+int(binary.BigEndian.Uint16(data)) {
				return "", fmt.Errorf("the bundle of entry %d is too short", i)
			}
			entry := data[2 : 2+int(binary.BigEndian.Uint16(data))]
			data = data[2+len(entry):]
			hash, err := reader.ReadHashes([]int64{tlog.StoredHashIndex(0, i)})
			if err != nil {
				return "", err
			}
			if hash[0] != tlog.RecordHash(entry) {
				return "", fmt.Errorf("entry %d is not the one in the tree", i)
			}
		}
		if len(data) != 0 {
			return "", fmt.Errorf("something stands behind the last entry of the bundle at %d", first)
		}
	}
	return fmt.Sprintf("%d entries are in the tree of their tiles", tree.N), nil
}

func width(left int64) int64 {
	if left < 256 {
		return left
	}
	return 256
}
