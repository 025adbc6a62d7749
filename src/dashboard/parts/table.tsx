/** Tables that become cards on a phone. */

import type { ReactNode } from "react";

export interface CardColumn<Row> {
  readonly heading: string;
  /** In place of the heading's text. */
  readonly head?: ReactNode;
  readonly cell: (row: Row) => ReactNode;
  /** `right` for numbers, `title` for what names the row. */
  readonly kind?: "right" | "title";
}

export interface TableProps<Row> {
  /** What the table lists, for those who cannot see it. */
  readonly label: string;
  readonly columns: readonly CardColumn<Row>[];
  readonly rows: readonly Row[];
  readonly keyOf: (row: Row) => string;
}

export function Table<Row>({ label, columns, rows, keyOf }: TableProps<Row>): ReactNode {
  return (
    <div className="table-wrap">
      <table className="cards" aria-label={label}>
        <thead>
          <tr>
            {columns.map(({ heading, head, kind }) => (
              <th key={heading} scope="col" className={kind}>
                {head ?? heading}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={keyOf(row)}>
              {columns.map(({ heading, kind, cell }) => (
                <td key={heading} className={kind} data-label={heading}>
                  {cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export interface FieldsProps {
  /** Names and values; a value of null leaves the field out. */
  readonly fields: readonly (readonly [name: string, value: ReactNode])[];
}

/** Names and values, one below the other. */
export function Fields({ fields }: FieldsProps): ReactNode {
  return (
    <dl className="fields">
      {fields
        .filter(([, value]) => value !== null && value !== undefined)
        .map(([name, value]) => (
          <div key={name} style={{ display: "contents" }}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
    </dl>
  );
}
