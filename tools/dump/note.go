package dump

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"time"
)

// note says how far a load of a file to a target has come.
type note struct {
	Dump   string `json:"dump"`   // the file's id
	Offset int64  `json:"offset"` // of the first block that the target has not taken whole

	path    string
	written time.Time
}

// noteEvery is how often a note is renewed.
const noteEvery = time.Second

func openNote(file, target string, id fileID) (*note, error) {
	n := &note{path: file + ".load-" + strings.ReplaceAll(target, "/", "_")}
	text, err := os.ReadFile(n.path)
	if err == nil {
		err = json.Unmarshal(text, n)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	if n.Dump != hex.EncodeToString(id[:]) || n.Offset < headerSize {
		n.Dump, n.Offset = hex.EncodeToString(id[:]), headerSize
	}
	return n, nil
}

// reached notes that all blocks before offset are loaded.
func (n *note) reached(offset int64) error {
	n.Offset = offset
	if time.Since(n.written) < noteEvery {
		return nil
	}
	return n.write()
}

func (n *note) write() error {
	text, err := json.Marshal(n)
	if err != nil {
		return err
	}
	n.written = time.Now()
	fresh := n.path + ".new"
	if err := os.WriteFile(fresh, text, 0o600); err != nil {
		return err
	}
	return os.Rename(fresh, n.path)
}

// remove is for when all is loaded.
func (n *note) remove() error {
	if err := os.Remove(n.path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
