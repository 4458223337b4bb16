import type { Dashboard, FieldConfig, GraphFieldConfig, Panel, RowPanel } from '@grafana/schema';
import type { Options } from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';

// Plain is a type as JSON has it: the values of enumerations in place of their names.
type Plain<T> = unknown extends T ? T
  : T extends string ? `${T}`
  : T extends Array<infer U> ? Plain<U>[]
  : T extends object ? { [K in keyof T]: Plain<T[K]> }
  : T;

// Grafana's types leave open what belongs to a kind of panel or of source; here it is named, so that a misspelt field is an error.
type TimeSeries = Omit<Panel, 'type' | 'options' | 'fieldConfig' | 'targets'> & {
  type: 'timeseries';
  options: Options;
  fieldConfig: { defaults: Omit<FieldConfig, 'custom'> & { custom?: GraphFieldConfig }; overrides: [] };
  targets: { refId: string; expr: string; legendFormat: string; datasource: { type: 'prometheus'; uid: string } }[];
};
type Row = RowPanel & { panels: [] };

export type Ours = Plain<Omit<Dashboard, 'panels'>> & { panels: Plain<TimeSeries | Row>[] };
