package bench

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/apache/arrow/go/v17/parquet"
	"github.com/apache/arrow/go/v17/parquet/file"
)

// readCSV reads rows with times in milliseconds, which both systems spell faster than RFC 3339. Columns may be named in the first row, or here.
func readCSV(body io.Reader, check *rowCheck, columns []string) error {
	reader := csv.NewReader(body)
	reader.ReuseRecord = true
	if columns == nil {
		header, err := reader.Read()
		if err != nil {
			return err
		}
		columns = slices.Clone(header)
	}
	at, value, host := slices.Index(columns, "timestamp"), slices.Index(columns, "value"), slices.Index(columns, "host")
	if at < 0 || value < 0 || host < 0 {
		return fmt.Errorf("columns %v, without timestamp, value or host", columns)
	}
	for {
		record, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		when, err := strconv.ParseInt(record[at], 10, 64)
		if err != nil {
			return err
		}
		number, err := strconv.ParseFloat(record[value], 64)
		if err != nil {
			return err
		}
		if err := check.add(record[host], when*1e6, number); err != nil {
			return err
		}
	}
}

// readLines reads lines of JSON, each into a new value of the given kind.
func readLines[T any](body io.Reader, each func(*T) error) error {
	scanner := bufio.NewScanner(body)
	scanner.Buffer(nil, 64<<20)
	for scanner.Scan() {
		line := new(T)
		if err := json.Unmarshal(scanner.Bytes(), line); err != nil {
			return fmt.Errorf("%w: %.200s", err, scanner.Bytes())
		}
		if err := each(line); err != nil {
			return err
		}
	}
	return scanner.Err()
}

// readArrow reads an IPC stream.
func readArrow(body io.Reader, check *rowCheck) error {
	reader, err := ipc.NewReader(body)
	if err != nil {
		return err
	}
	defer reader.Release()
	for reader.Next() {
		record := reader.Record()
		at, isTime := columnOf(record, "timestamp").(*array.Timestamp)
		value, isFloat := columnOf(record, "value").(*array.Float64)
		host, isDictionary := columnOf(record, "host").(*array.Dictionary)
		if !isTime || !isFloat || !isDictionary {
			return fmt.Errorf("columns of other types than timestamp, float64 and dictionary: %v", record.Schema())
		}
		names, isText := host.Dictionary().(*array.String)
		if !isText {
			return fmt.Errorf("a dictionary of %v", host.Dictionary().DataType())
		}
		for i := range int(record.NumRows()) {
			if err := check.add(names.Value(host.GetValueIndex(i)), int64(at.Value(i)), value.Value(i)); err != nil {
				return err
			}
		}
	}
	return reader.Err()
}

// columnOf is the column of a name, nil if there is none.
func columnOf(record arrow.Record, name string) arrow.Array {
	for i := range int(record.NumCols()) {
		if record.ColumnName(i) == name {
			return record.Column(i)
		}
	}
	return nil
}

// readParquet reads a file, which must be in memory: its index is at its end.
func readParquet(body io.Reader, check *rowCheck) error {
	whole, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	reader, err := file.NewParquetReader(bytes.NewReader(whole))
	if err != nil {
		return err
	}
	schema := reader.MetaData().Schema
	at, value, host := schema.ColumnIndexByName("timestamp"), schema.ColumnIndexByName("value"), schema.ColumnIndexByName("host")
	if at < 0 || value < 0 || host < 0 {
		return errors.Join(fmt.Errorf("columns without timestamp, value or host: %v", schema), reader.Close())
	}
	for i := range reader.NumRowGroups() {
		if err := readRowGroup(reader.RowGroup(i), check, at, value, host); err != nil {
			return errors.Join(err, reader.Close())
		}
	}
	return reader.Close()
}

func readRowGroup(group *file.RowGroupReader, check *rowCheck, atColumn, valueColumn, hostColumn int) error {
	rows := group.NumRows()
	times, values, hosts := make([]int64, rows), make([]float64, rows), make([]parquet.ByteArray, rows)
	levels := make([]int16, rows)
	for _, column := range []int{atColumn, valueColumn, hostColumn} {
		chunk, err := group.Column(column)
		if err != nil {
			return err
		}
		for read := int64(0); read < rows; {
			var got int64
			switch chunk := chunk.(type) {
			case *file.Int64ColumnChunkReader:
				got, _, err = chunk.ReadBatch(rows-read, times[read:], levels[read:], nil)
			case *file.Float64ColumnChunkReader:
				got, _, err = chunk.ReadBatch(rows-read, values[read:], levels[read:], nil)
			case *file.ByteArrayColumnChunkReader:
				got, _, err = chunk.ReadBatch(rows-read, hosts[read:], levels[read:], nil)
				for i := read; i < read+got; i++ { // the page that they are in is reused
					hosts[i] = bytes.Clone(hosts[i])
				}
			default:
				err = fmt.Errorf("a column of type %v", chunk.Type())
			}
			if err == nil && got == 0 {
				err = fmt.Errorf("column %d ends after %d of %d rows", column, read, rows)
			}
			if err != nil {
				return err
			}
			read += got
		}
	}
	for i := range rows {
		if err := check.add(string(hosts[i]), times[i], values[i]); err != nil {
			return err
		}
	}
	return nil
}
