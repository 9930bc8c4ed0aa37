// Fields of passwords: one that there is, and a new one, typed twice.

import { PasswordInput, type PasswordInputProps } from '@mantine/core';
import { texts } from '../../texts.ts';

interface Field {
  readonly value: string;
  readonly onValue: (value: string) => void;
}

/** A field of a password. Escape in it closes no dialog beneath. */
export function Password({
  label = texts.login.password,
  value,
  onValue,
  ...props
}: Field & { label?: string } & Omit<PasswordInputProps, 'value' | 'onChange' | 'label'>) {
  return (
    <PasswordInput
      label={label}
      value={value}
      onChange={({ currentTarget: { value: typed } }) => onValue(typed)}
      required
      withAsterisk={false}
      autoComplete="current-password"
      visibilityToggleFocusable
      visibilityToggleButtonProps={{ 'aria-label': texts.login.showTyped }}
      {...props}
    />
  );
}

/** What was typed into the two fields of a new password. */
export interface TypedTwice {
  readonly first: string;
  readonly second: string;
}
export const typedNothing: TypedTwice = { first: '', second: '' };

/** Both fields; the browser keeps a form from being sent in which they differ. */
export function NewPassword({
  typed: { first, second },
  onTyped,
}: {
  typed: TypedTwice;
  onTyped: (typed: TypedTwice) => void;
}) {
  const said = texts.login;
  const differ = second !== '' && first !== second;
  return (
    <>
      <Password
        label={said.newPassword}
        description={said.newPasswordAbout}
        autoComplete="new-password"
        value={first}
        onValue={(value) => onTyped({ first: value, second })}
      />
      <Password
        label={said.again}
        autoComplete="new-password"
        value={second}
        onValue={(value) => onTyped({ first, second: value })}
        error={differ && !first.startsWith(second) ? said.notTheSame : null}
        ref={(input) => input?.setCustomValidity(differ ? said.notTheSame : '')}
      />
    </>
  );
}
